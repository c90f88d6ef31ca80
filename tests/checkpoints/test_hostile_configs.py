"""Every number of a checkpoint's JSON files, set to values that no model has: a typed error, or a model that loads.

In a process of its own with a limit on its memory, as a fault here costs gigabytes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from openbark.checkpoints import open_checkpoint, random_checkpoint, save_checkpoint
from openbark.config import BarkConfig, EncodecConfig, IstftCodecConfig, SemanticEncoderConfig
from openbark.errors import CheckpointCorruptError, CheckpointUnsupportedError
from openbark.params import SUNO_PARAMS

_CHILD = r"""
import json, resource, sys, traceback
from pathlib import Path
import numpy as np
from openbark.backends.native.library import library_path
from openbark.backends.select import load_backend
from openbark.checkpoints import open_checkpoint
from openbark.errors import OpenBarkError

used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (2 << 30),) * 2)

VALUES = ["-1", "0", "3", "0.5", "16777217", "2147483648", "1" + "0" * 400, "1e308", "1e-320", "NaN", '"x"', "[]"]

def places(values, path=()):
    for key, value in values.items() if isinstance(values, dict) else enumerate(values):
        here = (*path, key)
        if isinstance(value, (dict, list)):
            yield from places(value, here)
            yield here
        else:
            yield here

def load(folder):
    checkpoint = open_checkpoint(folder, need_tokenizer=False)
    backend = load_backend(checkpoint, dtype="float32", threads=1)
    config = backend.config
    backend.codec_decode(np.zeros((config.fine_rules.n_codebooks, 3), dtype=np.int64))
    backend.codec_encode(np.zeros(4 * config.codec.hop_length, dtype=np.float32), 1)
    config.max_seconds, config.max_semantic_history, config.frames_per_semantic

folder, raw, tried = Path(sys.argv[1]), [], 0
for name in ("config.json", "generation_config.json"):
    file = folder / name
    whole = file.read_text()
    for place in places(json.loads(whole)):
        for text in VALUES:
            values = json.loads(whole)
            holder = values
            for key in place[:-1]:
                holder = holder[key]
            holder[place[-1]] = "@"
            file.write_text(json.dumps(values).replace('"@"', text))
            tried += 1
            try:
                load(folder)
            except OpenBarkError:
                pass
            except BaseException as error:
                where = traceback.extract_tb(error.__traceback__)[-1]
                raw.append([name, list(place), text[:30], type(error).__name__, str(error)[:100], f"{where.filename}:{where.lineno}"])
    file.write_text(whole)
load(folder)
print(json.dumps([tried, raw]))
"""


def _encodec() -> BarkConfig:
    return BarkConfig.tiny()


def _istft() -> BarkConfig:
    codec = IstftCodecConfig(
        codebook_size=32,
        codebook_dim=8,
        encoder_dim=8,
        encoder_layers=1,
        decoder_dim=8,
        decoder_layers=1,
        n_bins=20,
        n_mels=8,
    )
    encoder = SemanticEncoderConfig(n_mels=8, dim=8, n_layer=3, vocab_size=100, pitch_bins=4)
    return replace(BarkConfig.tiny(), codec=codec, semantic_encoder=encoder)


@pytest.mark.skipif(sys.platform != "linux", reason="the memory limit reads /proc")
@pytest.mark.parametrize("make", [_encodec, _istft], ids=["encodec", "istft"])
def test_no_value_of_a_config_raises_anything_but_our_errors(make, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    config = make()
    folder = save_checkpoint(tmp_path / "m", config, random_checkpoint(config), SUNO_PARAMS, None)
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    tried, raw = json.loads(done.stdout.splitlines()[-1])
    assert tried > 800
    assert raw == []


def test_an_unknown_text_normalizer_is_refused_when_the_checkpoint_is_opened(
    tmp_path: Path,
) -> None:
    config = BarkConfig.tiny()
    folder = save_checkpoint(tmp_path / "m", config, random_checkpoint(config), SUNO_PARAMS, None)
    file = folder / "config.json"
    values = json.loads(file.read_text())
    values["openbark"]["text_normalizer"] = "klingon"
    file.write_text(json.dumps(values))
    with pytest.raises(CheckpointUnsupportedError, match=r"klingon.*none, en"):
        open_checkpoint(folder, need_tokenizer=False)


@pytest.mark.parametrize(
    "values",
    [
        {"target_bandwidths": (1e308,)},
        {"target_bandwidths": (float("nan"),)},
        {"trim_right_ratio": float("inf")},
        {"sampling_rate": 10**400},
        {"upsampling_ratios": (2**40, 2)},
        {"dilation_growth_rate": 9, "num_residual_layers": 1024},
    ],
    ids=str,
)
def test_codec_numbers_beyond_all_bounds(values: dict[str, object]) -> None:
    with pytest.raises(CheckpointCorruptError, match="codec"):
        EncodecConfig(**values)  # type: ignore[arg-type]

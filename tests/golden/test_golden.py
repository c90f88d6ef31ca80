"""What every way through the package made on one random checkpoint, kept to the token.

A change of the code that is meant to keep behaviour keeps these records. Where a change is intended, `make golden`
writes them anew, and the commit shows what changed.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from golden_cases import CASES, SHORT_TEXT, SIXTEEN, Kit, voice
from golden_records import check, check_names, differences, of_clip

from openbark.api import Bark
from openbark.backends.native.library import KERNELS_VARIABLE, library_path

pytest.importorskip("torch")
pytest.importorskip("fastapi", reason="needs the extra [server]")
pytestmark = pytest.mark.skipif(
    not library_path().exists(), reason="the CPU engine was not built: no C++ compiler"
)

FILE = "random_model.json"


@pytest.fixture(scope="module")
def checkpoint(tiny_checkpoint_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny checkpoint with two voices of its own."""
    folder = tmp_path_factory.mktemp("golden") / "tiny"
    shutil.copytree(tiny_checkpoint_dir, folder)
    (folder / "voices").mkdir()
    for seed in (0, 1):
        voice(seed).save(folder / "voices" / f"en_{seed}.npz")
    return folder


@pytest.fixture(scope="module")
def bark(checkpoint: Path) -> Iterator[Bark]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KERNELS_VARIABLE, "generic")
        yield Bark.load(checkpoint, threads=1)


@pytest.fixture
def kit(bark: Bark, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kit:
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "TTS_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.delenv("OPENBARK_VOICES", raising=False)
    monkeypatch.setenv("OPENBARK_MODEL", str(checkpoint))
    monkeypatch.chdir(tmp_path)
    return Kit(checkpoint, tmp_path, bark)


@pytest.mark.parametrize("name", CASES)
def test_makes_what_it_made(kit: Kit, name: str) -> None:
    check(FILE, name, CASES[name](kit))


def test_every_record_has_a_case() -> None:
    check_names(FILE, list(CASES))


def test_one_other_token_is_noticed(kit: Kit) -> None:
    clip = kit.bark.generate(SHORT_TEXT, seed=1, params=SIXTEEN)
    record = of_clip(clip)
    assert differences(record, of_clip(clip)) == []
    for stage in ("semantic", "coarse", "fine"):
        tokens = np.array(getattr(clip.tokens, stage))
        tokens.flat[-1] += 1
        changed = replace(clip, tokens=replace(clip.tokens, **{stage: tokens}))
        lines = differences(record, of_clip(changed))
        assert len([line for line in lines if line.startswith("+ ")]) == 1
        assert any(f'"{stage}"' in line for line in lines)


def test_another_sample_is_noticed_with_and_without_hashes_of_files(kit: Kit) -> None:
    clip = kit.bark.generate(SHORT_TEXT, seed=1, params=SIXTEEN)
    record = of_clip(clip)
    louder = of_clip(replace(clip, waveform=clip.waveform * 1.5 + 0.001))
    assert differences(record, louder, wav_bytes=False)
    nearly = of_clip(replace(clip, waveform=clip.waveform + np.float32(1e-4)))
    assert differences(record, nearly, wav_bytes=False) == []
    assert differences(record, nearly, wav_bytes=True)

"""Folders in every spelling give the same greedy speech on both sides: theirs read here, ours read there (C2)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from transformers import BarkModel as TheirModel
from transformers_oracle import random_voice

from openbark.api import Bark
from openbark.checkpoints import open_checkpoint, random_checkpoint, save_checkpoint
from openbark.checkpoints.convert import convert_to_hf
from openbark.compat import transformers as hf
from openbark.config import BarkConfig
from openbark.params import SUNO_PARAMS

TINY = BarkConfig.tiny()
DERIVED = ("attn.bias", "lm_heads.", "embed_avg", "cluster_size", "inited")
State = dict[str, torch.Tensor]


def older(state: State) -> State:
    """The names that weight norm had before torch 2.0's parametrizations."""
    renamed = {}
    for name, tensor in state.items():
        name = name.replace("parametrizations.weight.original0", "weight_g")
        renamed[name.replace("parametrizations.weight.original1", "weight_v")] = tensor
    return renamed


def bare(state: State) -> State:
    """Without what can be derived: masks, tied heads, statistics of the codebooks."""
    return {name: t for name, t in state.items() if not any(part in name for part in DERIVED)}


def whole(state: State) -> State:
    return state


def pickled(state: State, folder: Path) -> None:
    torch.save(state, folder / "pytorch_model.bin")


def safe(state: State, folder: Path) -> None:
    unshared = {name: tensor.clone().contiguous() for name, tensor in state.items()}
    save_file(unshared, folder / "model.safetensors", metadata={"format": "pt"})


def shards(state: State, folder: Path) -> None:
    """Two pickled shards with an index, as large models were published."""
    names = sorted(state)
    halves = {"a": names[::2], "b": names[1::2]}
    for key, half in halves.items():
        torch.save({name: state[name] for name in half}, folder / f"pytorch_model-{key}.bin")
    placed = {name: f"pytorch_model-{key}.bin" for key, half in halves.items() for name in half}
    index = {"metadata": {}, "weight_map": placed}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint_dir: Path) -> Path:
    """A folder of transformers' with weights that are no longer ours."""
    folder = tmp_path_factory.mktemp("layouts") / "theirs"
    model = TheirModel.from_pretrained(tiny_checkpoint_dir)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1 + 0.05 * torch.randn(parameter.shape, generator=generator))
    model.save_pretrained(folder)
    return folder


def speech(model: Any) -> torch.Tensor:
    """Greedy, a batch with a voice."""
    ids = torch.randint(0, 60, (2, 16), generator=torch.Generator().manual_seed(2))
    voice = random_voice(TINY, 33).for_transformers()
    options = {"do_sample": False, "temperature": 1.0, "semantic_max_new_tokens": 14}
    return model.generate(ids, history_prompt=voice, **options)


def assert_same(found: torch.Tensor, expected: torch.Tensor, tolerance: float = 1e-4) -> None:
    assert found.shape == expected.shape
    assert found.std() > 0.01
    assert (found - expected).abs().max() < tolerance


@pytest.mark.parametrize("spell", [whole, older, bare])
@pytest.mark.parametrize("write", [safe, pickled, shards])
def test_C2_theirs_read_here(
    written: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    spell: Callable[[State], State],
    write: Callable[[State, Path], None],
) -> None:
    monkeypatch.setenv("OPENBARK_CACHE", str(tmp_path / "cache"))
    theirs = TheirModel.from_pretrained(written).eval()
    folder = tmp_path / "spelled"
    folder.mkdir()
    for name in ("config.json", "generation_config.json"):
        (folder / name).write_bytes((written / name).read_bytes())
    write(spell(dict(theirs.state_dict())), folder)
    assert_same(speech(hf.BarkModel.from_pretrained(folder)), speech(theirs))


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float64"])
def test_C2_ours_read_there(written: Path, tmp_path: Path, dtype: str) -> None:
    """What the shim saves after a conversion, in the precision that was kept."""
    ours = hf.BarkModel.from_pretrained(written).to(getattr(torch, dtype)).float()
    ours.half() if dtype == "float16" else ours.float()
    ours.save_pretrained(tmp_path / "ours")
    kept = "float16" if dtype == "float16" else "float32"
    assert json.loads((tmp_path / "ours" / "config.json").read_text())["dtype"] == kept
    theirs, report = TheirModel.from_pretrained(
        tmp_path / "ours", dtype=torch.float32, output_loading_info=True
    )
    assert not report["missing_keys"] and not report["unexpected_keys"]
    # In half precision the codec is rounded on disk alone, which another token would exceed by far.
    tolerance = 5e-3 if dtype == "float16" else 1e-4
    assert_same(speech(ours.float()), speech(theirs.eval()), tolerance)


def test_C2_converted_and_written_by_openbark_itself(written: Path, tmp_path: Path) -> None:
    made = convert_to_hf(open_checkpoint(written, need_tokenizer=False), tmp_path / "converted")
    fresh = save_checkpoint(tmp_path / "fresh", TINY, random_checkpoint(TINY, 3), SUNO_PARAMS, None)
    for folder in (made, fresh):
        theirs = TheirModel.from_pretrained(folder).eval()
        assert_same(speech(hf.BarkModel.from_pretrained(folder)), speech(theirs))


def test_C2_openbark_speaks_with_a_folder_of_theirs(
    written: Path, tmp_path: Path, tiny_checkpoint_dir: Path
) -> None:
    """`Bark.load` of model and processor saved into one folder: the waveform is of the weights there."""
    TheirModel.from_pretrained(written).save_pretrained(tmp_path / "both")
    hf.BarkProcessor.from_pretrained(tiny_checkpoint_dir).save_pretrained(tmp_path / "both")
    clip = Bark.load(tmp_path / "both").generate("hello", seed=1)
    again = Bark.load(tmp_path / "both", backend="torch").generate("hello", seed=1)
    assert clip.tokens.fine.tolist() == again.tokens.fine.tolist()

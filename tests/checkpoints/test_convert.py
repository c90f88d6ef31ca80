"""From any layout to any other: bit for bit, once, under a lock, never touching the source."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from openbark.checkpoints import open_checkpoint
from openbark.checkpoints.checkpoint import Checkpoint
from openbark.checkpoints.convert import (
    cache_directory,
    convert_to_hf,
    convert_to_suno,
    ready_checkpoint,
)
from openbark.checkpoints.formats.tensor_writer import TensorEntry, write_torch_file
from openbark.errors import CheckpointError, CheckpointUnsupportedError

ROOT = Path(__file__).parents[2]


def same(left: Checkpoint, right: Checkpoint) -> None:
    a, b = left.tensors(""), right.tensors("")
    assert a.keys() == b.keys()
    for name, array in a.items():
        assert np.array_equal(array, b[name]), name


def as_bin(hf_dir: Path, folder: Path, *, heads: bool = True, old_norm: bool = True) -> Path:
    """The published form of ten months after release: one pickle, tied heads in it, weight_g."""
    folder.mkdir()
    for name in ("config.json", "generation_config.json", "vocab.txt"):
        shutil.copy(hf_dir / name, folder)
    tensors = {}
    for name, array in load_file(hf_dir / "model.safetensors").items():
        if old_norm:
            name = name.replace("parametrizations.weight.original0", "weight_g")
            name = name.replace("parametrizations.weight.original1", "weight_v")
        kind = "BOOL" if array.dtype == np.bool_ else "F32"
        tensors[name] = TensorEntry(name, kind, array.shape, lambda array=array: array)  # type: ignore[misc]
    if heads:
        for k in range(7):
            tied = tensors[f"fine_acoustics.input_embeds_layers.{k + 1}.weight"]
            tensors[f"fine_acoustics.lm_heads.{k}.weight"] = tied
    write_torch_file(folder / "pytorch_model.bin", tensors)
    return folder


@pytest.mark.parametrize("old", [True, False])
def test_C2_pickled_folders_open(hf_dir: Path, tmp_path: Path, old: bool) -> None:
    folder = as_bin(hf_dir, tmp_path / "bin", heads=old, old_norm=old)
    checkpoint = open_checkpoint(folder)
    assert checkpoint.layout == "bin"
    same(checkpoint, open_checkpoint(hf_dir))


def test_suno_there_and_back(suno_dir: Path, hf_dir: Path, tmp_path: Path) -> None:
    made = open_checkpoint(convert_to_hf(open_checkpoint(suno_dir), tmp_path / "hf"))
    assert made.layout == "safetensors"
    same(made, open_checkpoint(hf_dir))
    again = open_checkpoint(convert_to_suno(made, tmp_path / "suno"))
    same(again, made)
    ours, first = tmp_path / "suno" / "fine.pt", suno_dir / "fine.pt"
    assert ours.read_bytes() == first.read_bytes()


def test_C2_the_hugging_face_layout_is_whole(suno_dir: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(suno_dir, source)
    (source / "voices").mkdir()
    (source / "voices" / "a.npz").write_bytes(b"voice")
    folder = convert_to_hf(open_checkpoint(source), tmp_path / "hf")
    assert {path.name for path in folder.iterdir()} == {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.txt",
        "voices",
    }
    assert (folder / "vocab.txt").read_bytes() == (suno_dir / "vocab.txt").read_bytes()
    assert (folder / "voices" / "a.npz").read_bytes() == b"voice"
    assert json.loads((folder / "config.json").read_text())["dtype"] == "float32"


def test_the_copy_is_made_once(suno_dir: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    checkpoint = open_checkpoint(suno_dir)
    first = ready_checkpoint(checkpoint, lines.append)
    assert len(lines) == 1
    assert str(suno_dir) in lines[0]
    assert str(cache_directory()) in lines[0]
    assert first.directory == suno_dir
    assert all(s.parts[0].file.suffix == ".safetensors" for s in first.sources.values())
    same(first, checkpoint)
    second = ready_checkpoint(checkpoint, lines.append)
    assert len(lines) == 1
    assert second.sources == first.sources
    (converted,) = [path for path in (cache_directory() / "converted").iterdir() if path.is_dir()]
    assert sum(1 for _ in converted.glob("*.part")) == 0


def test_another_file_is_another_copy(suno_dir: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    copy = tmp_path / "copy"
    shutil.copytree(suno_dir, copy)
    ready_checkpoint(open_checkpoint(copy), lines.append)
    shutil.copyfile(suno_dir / "text.pt", copy / "text.pt")
    ready_checkpoint(open_checkpoint(copy), lines.append)
    assert len(lines) == 2


def test_a_broken_copy_is_made_again(suno_dir: Path) -> None:
    lines: list[str] = []
    checkpoint = open_checkpoint(suno_dir)
    made = ready_checkpoint(checkpoint, lines.append)
    file = next(iter(made.sources.values())).parts[0].file
    file.write_bytes(file.read_bytes()[:1000])
    same(ready_checkpoint(checkpoint, lines.append), checkpoint)
    assert len(lines) == 2


def test_without_a_cache_it_still_loads(
    suno_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("OPENBARK_CACHE", str(tmp_path / "file" / "below"))
    lines: list[str] = []
    checkpoint = open_checkpoint(suno_dir)
    assert ready_checkpoint(checkpoint, lines.append) is checkpoint
    assert "without a converted copy" in lines[0]


RACE = """
import sys
from openbark.checkpoints import open_checkpoint
from openbark.checkpoints.convert import ready_checkpoint
lines = []
ready_checkpoint(open_checkpoint(sys.argv[1]), lines.append)
print(len(lines))
"""


def test_processes_wait_for_each_other(suno_dir: Path) -> None:
    command = [sys.executable, "-c", RACE, str(suno_dir)]
    running = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    made = [int(process.communicate()[0]) for process in running]
    assert sorted(made) == [0, 0, 1]


def test_existing_folders_and_foreign_models(
    suno_dir: Path, tiny_checkpoint_dir: Path, tmp_path: Path
) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(CheckpointError, match="exists already"):
        convert_to_hf(open_checkpoint(suno_dir), tmp_path / "there")
    with pytest.raises(CheckpointUnsupportedError, match="semantic_rules"):
        convert_to_suno(open_checkpoint(tiny_checkpoint_dir), tmp_path / "suno")
    assert not (tmp_path / "suno").exists()


def test_half_precision_stays_half(hf_dir: Path, tmp_path: Path) -> None:
    folder = as_bin(hf_dir, tmp_path / "half", heads=False)
    tensors = {}
    for name, source in open_checkpoint(folder).sources.items():
        array = source.read().astype(np.float16)
        tensors[name] = TensorEntry(name, "F16", array.shape, lambda array=array: array)  # type: ignore[misc]
    (folder / "pytorch_model.bin").unlink()
    write_torch_file(folder / "pytorch_model.bin", tensors)
    made = convert_to_hf(open_checkpoint(folder), tmp_path / "made")
    stored = load_file(made / "model.safetensors")
    assert stored["semantic.lm_head.weight"].dtype == np.float16
    assert (made / "model.safetensors").stat().st_size < 0.9 * (
        hf_dir / "model.safetensors"
    ).stat().st_size
    same(open_checkpoint(made), open_checkpoint(folder))

"""`openbark models show` and `convert` on every layout, both ways: the same tensors, bit for bit (C1, C2)."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import load_file

from openbark.checkpoints import open_checkpoint
from openbark.checkpoints.checkpoint import Checkpoint
from openbark.checkpoints.formats.tensor_writer import (
    TensorEntry,
    write_safetensors,
    write_torch_file,
)
from openbark.cli.main import cli

Make = Callable[[Path, Path, Path], Path]
"""Makes a layout from the Hugging Face folder and Suno's in a new folder; gives what the user names."""

BESIDE = ("config.json", "generation_config.json", "vocab.txt")


def entries(hf: Path) -> list[TensorEntry]:
    """All that the file holds, masks included."""
    return [
        TensorEntry(
            name,
            "BOOL" if array.dtype == np.bool_ else "F32",
            array.shape,
            partial(np.array, array),
        )
        for name, array in load_file(hf / "model.safetensors").items()
    ]


def beside(hf: Path, folder: Path) -> Path:
    folder.mkdir()
    for name in BESIDE:
        shutil.copy(hf / name, folder)
    return folder


def plain(hf: Path, suno: Path, folder: Path) -> Path:
    return hf


def pickled(hf: Path, suno: Path, folder: Path) -> Path:
    beside(hf, folder)
    write_torch_file(folder / "pytorch_model.bin", {entry.name: entry for entry in entries(hf)})
    return folder


def sharded(hf: Path, suno: Path, folder: Path, *, pickle: bool = False) -> Path:
    beside(hf, folder)
    stem, suffix = ("pytorch_model", "bin") if pickle else ("model", "safetensors")
    placement = {}
    for number, part in enumerate((entries(hf)[::2], entries(hf)[1::2]), start=1):
        name = f"{stem}-{number:05}-of-00002.{suffix}"
        placement |= dict.fromkeys((entry.name for entry in part), name)
        if pickle:
            write_torch_file(folder / name, {entry.name: entry for entry in part})
        else:
            write_safetensors(folder / name, part)
    (folder / f"{stem}.{suffix}.index.json").write_text(json.dumps({"weight_map": placement}))
    return folder


def sharded_pickled(hf: Path, suno: Path, folder: Path) -> Path:
    return sharded(hf, suno, folder, pickle=True)


def suno_folder(hf: Path, suno: Path, folder: Path) -> Path:
    return suno


def suno_file(hf: Path, suno: Path, folder: Path) -> Path:
    return suno / "fine.pt"


def linked(suno: Path, folder: Path) -> Path:
    folder.mkdir()
    for file in suno.iterdir():
        name = file.name.replace(".pt", "_2.pt")
        os.link(file, folder / name)
    return folder


def coqui(hf: Path, suno: Path, folder: Path) -> Path:
    """As its downloader leaves it: the large names whatever the size, and other models beside them."""
    linked(suno, folder)
    (folder / "config.json").write_text('{"model": "bark", "USE_SMALLER_MODELS": false}')
    (folder / "tokenizer.pth").write_bytes(b"\x80\x02}.")
    return folder


LAYOUTS: dict[str, tuple[Make, str, int]] = {
    "safetensors": (plain, "safetensors", 1),
    "sharded": (sharded, "safetensors", 2),
    "pickled": (pickled, "bin", 1),
    "sharded-pickled": (sharded_pickled, "bin", 2),
    "suno": (suno_folder, "suno", 4),
    "suno-file": (suno_file, "suno", 4),
    "coqui": (coqui, "suno", 4),
}
"""How it is made, what `show` calls it, how many files of weights it has."""


def run(*args: str) -> str:
    result = CliRunner().invoke(cli, ["models", *args])
    assert result.exit_code == 0, result.output
    return result.stdout


def same(left: Checkpoint, right: Checkpoint) -> None:
    a, b = left.tensors(""), right.tensors("")
    assert a.keys() == b.keys()
    assert [name for name in a if not np.array_equal(a[name], b[name])] == []
    sizes = ("semantic", "coarse", "fine", "codec", "semantic_rules", "coarse_rules", "fine_rules")
    for name in sizes:
        assert getattr(left.config, name) == getattr(right.config, name)


@pytest.mark.parametrize("name", LAYOUTS)
def test_C1_C2_show_and_convert(hf_dir: Path, suno_dir: Path, tmp_path: Path, name: str) -> None:
    make, layout, n_files = LAYOUTS[name]
    named = make(hf_dir, suno_dir, tmp_path / "made")
    shown = json.loads(run("show", str(named), "--json"))
    assert shown["layout"] == layout
    weights = [file for file in shown["files"] if not file.endswith(("vocab.txt", ".json"))]
    assert len(weights) == n_files
    assert shown["missing"] == []
    assert shown["config"]["semantic"]["n_layer"] == 2
    before = {file: file.stat().st_mtime_ns for file in named.parent.rglob("*") if file.is_file()}
    expected = open_checkpoint(hf_dir)
    for target in ("hf", "suno"):
        out = tmp_path / f"to-{target}"
        assert run("convert", str(named), "-o", str(out), "--to", target) == f"{out}\n"
        made = open_checkpoint(out)
        assert made.layout == ("suno" if target == "suno" else "safetensors")
        same(made, expected)
        shutil.rmtree(out)
    assert all(file.stat().st_mtime_ns == time for file, time in before.items())

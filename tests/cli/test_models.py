"""`openbark models convert`, and `show` for each layout."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from safetensors.numpy import load_file

from openbark.checkpoints.formats.tensor_writer import TensorEntry, write_torch_file

Run = Callable[..., Result]


@pytest.fixture
def pickled(tiny_checkpoint_dir: Path, tmp_path: Path) -> Path:
    """The tiny model as a pytorch_model.bin."""
    folder = tmp_path / "pickled"
    shutil.copytree(tiny_checkpoint_dir, folder)
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    entries = {
        name: TensorEntry(
            name,
            "BOOL" if array.dtype == np.bool_ else "F32",
            array.shape,
            lambda array=array: array,  # type: ignore[misc]
        )
        for name, array in tensors.items()
    }
    write_torch_file(folder / "pytorch_model.bin", entries)
    return folder


def test_convert_a_pickled_folder(run: Run, pickled: Path, tiny_checkpoint_dir: Path) -> None:
    before = (pickled / "pytorch_model.bin").stat().st_mtime_ns
    result = run("models", "convert", str(pickled), "-o", "made")
    assert result.exit_code == 0, result.output
    made = Path(result.stdout.strip())
    assert made == Path("made").resolve()
    stored = load_file(made / "model.safetensors")
    for name, array in load_file(tiny_checkpoint_dir / "model.safetensors").items():
        assert np.array_equal(stored[name], array), name
    assert (pickled / "pytorch_model.bin").stat().st_mtime_ns == before
    again = run("models", "convert", str(pickled), "-o", "made")
    assert again.exit_code == 1
    assert "exists already" in again.stderr


def test_convert_refuses_what_suno_cannot_hold(run: Run, pickled: Path) -> None:
    result = run("models", "convert", str(pickled), "-o", "made", "--to", "suno")
    assert result.exit_code == 1
    assert "--to hf" in result.stderr
    assert not Path("made").exists()


def test_show_says_the_layout(run: Run, pickled: Path, tiny_checkpoint_dir: Path) -> None:
    shown = json.loads(run("models", "show", str(pickled), "--json").stdout)
    assert (shown["layout"], shown["missing"]) == ("bin", [])
    assert shown["files"] == ["pytorch_model.bin", "tokenizer.json"]
    (pickled / "tokenizer.json").unlink()
    text = run("models", "show", str(pickled)).stdout
    assert "missing            tokenizer" in text
    plain = run("models", "show", str(tiny_checkpoint_dir)).stdout
    assert "layout             safetensors" in plain
    assert "missing            nothing" in plain


def test_show_does_not_fetch(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    result = run("models", "show", "someone/never-downloaded")
    assert result.exit_code == 2
    assert "openbark models download someone/never-downloaded" in result.stderr


def test_a_malicious_model_is_one_line(run: Run, pickled: Path) -> None:
    (pickled / "pytorch_model.bin").write_bytes(b"\x80\x02cposix\nsystem\n(X\x02\x00\x00\x00idtR.")
    result = run("models", "show", str(pickled))
    assert result.exit_code == 1
    assert "posix.system" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_show_and_doctor_name_the_packed_weights(
    run: Run, tiny_checkpoint_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from openbark.backends.native import packed_files
    from openbark.backends.native.library import library_path
    from openbark.backends.native.packed_files import PackedFile, PackedKey

    if not library_path().exists():
        pytest.skip("the CPU engine was not built")
    monkeypatch.setenv("OPENBARK_CACHE", str(tmp_path / "cache"))
    assert "not yet" in run("models", "show", str(tiny_checkpoint_dir)).stdout
    path = packed_files.packed_directory() / "x.packed"
    path.parent.mkdir(parents=True)
    key = PackedKey("w", "int8", "avx2", "l")
    block = np.zeros(2_000_000, dtype=np.uint8)
    PackedFile(path, key, str(tiny_checkpoint_dir.resolve())).write({"semantic.": block})
    assert f"int8 2 MB {path}" in run("models", "show", str(tiny_checkpoint_dir)).stdout
    findings = json.loads(run("doctor", "--model", "nowhere", "--json").stdout)["findings"]
    texts = {finding["name"]: finding["text"] for finding in findings}
    assert texts["packed weights"] == f"1 files, 2 MB in {path.parent}"
    monkeypatch.setenv(packed_files.SWITCH_VARIABLE, "0")
    assert "switched off" in run("doctor", "--model", "nowhere").stdout

"""Suno's files under every name and in every company: found by what they hold, read without torch."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openbark.checkpoints import open_checkpoint
from openbark.checkpoints.formats.stored_tensor import StoredTensor
from openbark.checkpoints.formats.tensor_writer import TensorEntry, write_torch_file
from openbark.checkpoints.formats.torch_file import read_torch_file
from openbark.checkpoints.layouts.encodec_names import from_encodec, to_encodec
from openbark.checkpoints.layouts.suno_folder import (
    CodecFile,
    SunoFile,
    read_suno_file,
    read_suno_folder,
)
from openbark.checkpoints.layouts.suno_names import from_suno, to_suno
from openbark.errors import (
    CheckpointCorruptError,
    CheckpointNotFoundError,
    CheckpointUnsafeError,
)
from openbark.params import SUNO_PARAMS

UNSAFE = b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00id\x85R."


def link(source: Path, target: Path, names: dict[str, str] | None = None) -> Path:
    """A folder with the same files (links), some under other names (an empty one: left out)."""
    target.mkdir()
    for file in source.iterdir():
        name = (names or {}).get(file.name, file.name)
        if name:
            os.link(file, target / name)
    return target


def rewritten(file: Path, target: Path, **changes: Any) -> None:
    """The file's content with other entries at the top."""
    target.unlink(missing_ok=True)
    content = read_torch_file(file) | changes
    write_torch_file(target, as_entries(content))


def as_entries(value: Any) -> Any:
    if isinstance(value, StoredTensor):
        return TensorEntry("", value.dtype, value.shape, value.raw)
    if isinstance(value, dict):
        return {key: as_entries(item) for key, item in value.items()}
    return value


def test_the_same_tensors_as_in_the_other_layout(hf_dir: Path, suno_dir: Path) -> None:
    ours, theirs = open_checkpoint(hf_dir), open_checkpoint(suno_dir)
    assert theirs.layout == "suno"
    assert theirs.config == ours.config
    assert theirs.defaults == SUNO_PARAMS
    expected, found = ours.tensors(""), theirs.tensors("")
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert np.array_equal(found[name], array), name


def test_names_mean_nothing(suno_dir: Path, tmp_path: Path) -> None:
    """Old versions of Suno's code named files by checksums; people rename them."""
    names = {"text.pt": "fine.pt", "coarse.pt": "a0b1c2d3", "fine.pt": "text.pt"}
    shuffled = link(suno_dir, tmp_path / "shuffled", names)
    found = read_suno_folder(shuffled)
    assert {stage: item.file.name for stage, item in found.stages.items()} == {
        "text": "fine.pt",
        "coarse": "a0b1c2d3",
        "fine": "text.pt",
    }


def test_large_before_small_unless_a_file_is_named(suno_dir: Path, tmp_path: Path) -> None:
    both = link(suno_dir, tmp_path / "both")
    for stage in ("text", "coarse", "fine"):
        content = as_entries(read_torch_file(suno_dir / f"{stage}.pt"))
        model = {k: v for k, v in content["model"].items() if "h.1." not in k}
        args = content["model_args"] | {"n_layer": 1}
        write_torch_file(both / f"{stage}_2.pt", content | {"model": model, "model_args": args})
    assert open_checkpoint(both).config.semantic.n_layer == 2
    assert {file.name for file in read_suno_folder(both).others} == {
        "text_2.pt",
        "coarse_2.pt",
        "fine_2.pt",
    }
    small = open_checkpoint(both / "coarse_2.pt").config
    assert (small.semantic.n_layer, small.coarse.n_layer, small.fine.n_layer) == (1, 1, 1)


def test_old_sizes_and_prefixless_names(suno_dir: Path, tmp_path: Path) -> None:
    folder = link(suno_dir, tmp_path / "old")
    content = as_entries(read_torch_file(suno_dir / "coarse.pt"))
    args = dict(content["model_args"])
    args["vocab_size"] = args.pop("input_vocab_size")
    del args["output_vocab_size"]
    model = {k.removeprefix("_orig_mod."): v for k, v in content["model"].items()}
    mask = np.tril(np.ones((1, 1, 1024, 1024), dtype=np.bool_))
    model["transformer.h.0.attn.bias"] = TensorEntry("", "BOOL", mask.shape, lambda: mask)
    (folder / "coarse.pt").unlink()
    write_torch_file(folder / "coarse.pt", {"model": model, "model_args": args})
    assert open_checkpoint(folder).config == open_checkpoint(suno_dir).config
    item = read_suno_file(folder / "coarse.pt")
    assert isinstance(item, SunoFile)
    assert item.best_val_loss is None


def test_what_else_lies_in_the_folder_is_left_alone(suno_dir: Path, tmp_path: Path) -> None:
    """Coqui keeps a config.json, a HuBERT and a pickled tokenizer there; none is opened as code."""
    folder = link(suno_dir, tmp_path / "coqui", {"text.pt": "text_2.pt"})
    (folder / "config.json").write_text('{"model": "bark", "USE_SMALLER_MODELS": false}')
    (folder / "hubert.pt").write_bytes(UNSAFE)
    (folder / "tokenizer.pth").write_bytes(b"\x80\x02}.")
    np.savez(folder / "speaker.npz", a=np.zeros(2))
    assert open_checkpoint(folder).config == open_checkpoint(suno_dir).config


@pytest.mark.parametrize("name", ["text.pt", "coarse.pt", "fine.pt"])
def test_a_malicious_stage_is_named(suno_dir: Path, tmp_path: Path, name: str) -> None:
    folder = link(suno_dir, tmp_path / "bad", {name: ""})
    (folder / name).write_bytes(UNSAFE)
    with pytest.raises(CheckpointUnsafeError, match=rf"{name}.*posix\.system"):
        open_checkpoint(folder)


def test_missing_parts_are_named(suno_dir: Path, tmp_path: Path) -> None:
    no_codec = link(suno_dir, tmp_path / "a", {"encodec_24khz.th": ""})
    with pytest.raises(CheckpointNotFoundError, match=r"lacks EnCodec.*models download"):
        open_checkpoint(no_codec)
    partial = open_checkpoint(no_codec, need_codec=False)
    assert not any(name.startswith("codec_model.") for name in partial.sources)
    names = {"tokenizer.json": "", "vocab.txt": ""}
    no_tokenizer = link(suno_dir, tmp_path / "b", names)
    with pytest.raises(CheckpointNotFoundError, match="lacks the tokenizer"):
        open_checkpoint(no_tokenizer)
    no_fine = link(suno_dir, tmp_path / "c", {"fine.pt": ""})
    with pytest.raises(CheckpointNotFoundError, match=r"lacks Suno's fine model; it has: coarse"):
        open_checkpoint(no_fine)


def test_the_codec_is_found_in_torch_s_folder(
    suno_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = link(suno_dir, tmp_path / "a", {"encodec_24khz.th": ""})
    hub = tmp_path / "torch" / "hub" / "checkpoints"
    hub.mkdir(parents=True)
    os.link(suno_dir / "encodec_24khz.th", hub / "encodec_24khz-d7cc33bc.th")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    assert open_checkpoint(folder).tensors("codec_model.").keys() == (
        open_checkpoint(suno_dir).tensors("codec_model.").keys()
    )


def test_a_codec_alone_is_known(suno_dir: Path) -> None:
    assert isinstance(read_suno_file(suno_dir / "encodec_24khz.th"), CodecFile)
    with pytest.raises(CheckpointNotFoundError, match="give their folder"):
        open_checkpoint(suno_dir / "encodec_24khz.th")


def test_sizes_that_lie_are_refused(suno_dir: Path, tmp_path: Path) -> None:
    folder = link(suno_dir, tmp_path / "a", {"fine.pt": ""})
    args = read_torch_file(suno_dir / "fine.pt")["model_args"]
    rewritten(suno_dir / "fine.pt", folder / "fine.pt", model_args=args | {"n_embd": 32})
    with pytest.raises(CheckpointCorruptError, match=r"shape \[1056, 16\].*asks for \[1056, 32\]"):
        open_checkpoint(folder)
    rewritten(suno_dir / "fine.pt", folder / "fine.pt", model_args=args | {"n_layer": "2"})
    with pytest.raises(CheckpointCorruptError, match=r"model_args\.n_layer must be a whole number"):
        open_checkpoint(folder)


def test_names_there_and_back(hf_dir: Path) -> None:
    for name in open_checkpoint(hf_dir).sources:
        stage, _, inner = name.partition(".")
        if stage == "codec_model":
            for transposed in (False, True):
                assert from_encodec(to_encodec(inner, transposed=transposed)) == inner
        else:
            assert from_suno(to_suno(inner)) == inner
            assert from_suno("_orig_mod." + to_suno(inner)) == inner


def test_C1_C2_published_names() -> None:
    """Rows of parity C1 and C2."""
    assert from_suno("_orig_mod.transformer.h.11.attn.c_attn.weight") == (
        "layers.11.attn.att_proj.weight"
    )
    assert from_suno("transformer.wtes.7.weight") == "input_embeds_layers.7.weight"
    assert from_suno("lm_heads.6.weight") == "lm_heads.6.weight"
    assert to_encodec("decoder.layers.3.conv.weight", transposed=True) == (
        "decoder.model.3.convtr.convtr.weight"
    )
    assert to_encodec("encoder.layers.1.block.3.conv.bias", transposed=False) == (
        "encoder.model.1.block.3.conv.conv.bias"
    )
    assert to_encodec("encoder.layers.1.shortcut.conv.bias", transposed=False) == (
        "encoder.model.1.shortcut.conv.conv.bias"
    )
    assert from_encodec("quantizer.vq.layers.31._codebook.embed") == (
        "quantizer.layers.31.codebook.embed"
    )
    assert from_encodec("transformer.wte.weight") is None


def test_a_copy_is_enough(suno_dir: Path, tmp_path: Path) -> None:
    """Nothing is written beside the user's files."""
    copy = tmp_path / "copy"
    shutil.copytree(suno_dir, copy)
    before = {file: file.stat().st_mtime_ns for file in copy.iterdir()}
    open_checkpoint(copy).tensors("fine_acoustics.")
    assert {file: file.stat().st_mtime_ns for file in copy.iterdir()} == before

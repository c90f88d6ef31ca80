"""Opening and writing checkpoint folders, and every way a folder can be at fault."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from openbark.checkpoints import (
    open_checkpoint,
    random_checkpoint,
    save_checkpoint,
)
from openbark.checkpoints.layouts.shapes import weight_normed
from openbark.config import BarkConfig
from openbark.errors import (
    CheckpointCorruptError,
    CheckpointError,
    CheckpointNotFoundError,
    CheckpointUnsupportedError,
)
from openbark.params import SUNO_PARAMS, GenerationParams, SamplingParams

TINY = BarkConfig.tiny()
WEIGHTS = "model.safetensors"


@pytest.fixture
def folder(tiny_checkpoint_dir: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(tiny_checkpoint_dir, tmp_path / "copy"))


def _edit(folder: Path, change: Callable[[dict[str, np.ndarray]], None]) -> None:
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS)


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    tensors = random_checkpoint(TINY, seed=9)
    defaults = GenerationParams(semantic=SamplingParams(0.5, top_k=40)).resolve(SUNO_PARAMS)
    made = save_checkpoint(tmp_path / "deep" / "model", TINY, tensors, defaults, '{"any": 1}')
    checkpoint = open_checkpoint(made)
    assert checkpoint.config == TINY
    assert checkpoint.defaults == defaults
    assert checkpoint.directory == made
    assert json.loads(checkpoint.tokenizer_path.read_text()) == {"any": 1}
    back = checkpoint.tensors("")
    assert back.keys() == tensors.keys()
    normed = weight_normed(TINY)
    for name, array in tensors.items():
        assert back[name].dtype == np.float32
        if name in normed:
            np.testing.assert_allclose(back[name], array, rtol=0, atol=1e-6 * abs(array).max())
        else:
            assert np.array_equal(back[name], array), name
    leftovers = [path.name for path in made.parent.iterdir()]
    assert leftovers == ["model"]


def test_parts_and_their_names(tiny_checkpoint_dir: Path) -> None:
    checkpoint = open_checkpoint(tiny_checkpoint_dir)
    semantic = checkpoint.tensors("semantic.")
    assert semantic["lm_head.weight"].shape == (110, 16)
    assert "layers.1.mlp.in_proj.weight" in semantic
    assert not any("attn.bias" in name for name in semantic)
    assert not any("lm_heads" in name for name in checkpoint.tensors("fine_acoustics."))
    codec = checkpoint.tensors("codec_model.")
    assert "encoder.layers.0.conv.weight" in codec
    assert not any("parametrizations" in name for name in codec)
    with pytest.raises(CheckpointUnsupportedError, match="has no semantic_encoder; it has: coarse"):
        checkpoint.tensors("semantic_encoder.")


def test_plain_weights_are_views_of_the_file(tiny_checkpoint_dir: Path) -> None:
    array = open_checkpoint(tiny_checkpoint_dir).tensors("semantic.")["lm_head.weight"]
    assert not array.flags.writeable
    assert array.base is not None


def test_float16_is_stored_and_read_as_float32(tmp_path: Path) -> None:
    tensors = random_checkpoint(TINY, seed=2)
    whole = save_checkpoint(tmp_path / "whole", TINY, tensors, SUNO_PARAMS, None)
    half = save_checkpoint(tmp_path / "half", TINY, tensors, SUNO_PARAMS, None, "float16")
    ratio = (half / WEIGHTS).stat().st_size / (whole / WEIGHTS).stat().st_size
    assert ratio < 0.7
    back = open_checkpoint(half, need_tokenizer=False).tensors("")
    for name, array in tensors.items():
        assert back[name].dtype == np.float32
        np.testing.assert_allclose(back[name], array, rtol=2e-3, atol=1e-4)


def test_rows_of_zeros_survive_weight_norm(tmp_path: Path) -> None:
    tensors = random_checkpoint(TINY, seed=2)
    name = "codec_model.decoder.layers.3.conv.weight"
    tensors[name][5] = 0.0
    made = save_checkpoint(tmp_path / "m", TINY, tensors, SUNO_PARAMS, None)
    assert not open_checkpoint(made, need_tokenizer=False).tensors("")[name][5].any()
    stored = load_file(made / WEIGHTS)
    direction = stored[name.replace("weight", "parametrizations.weight.original1")]
    assert direction[5].any(), "a reader that divides by |v| must not divide by 0"


@pytest.mark.parametrize("plain", [True, False])
def test_plain_and_older_spellings(folder: Path, plain: bool) -> None:
    before = open_checkpoint(folder).tensors("codec_model.")

    def respell(tensors: dict[str, np.ndarray]) -> None:
        for name in [name for name in tensors if name.endswith("original0")]:
            stem = name.removesuffix("parametrizations.weight.original0")
            g = tensors.pop(name)
            v = tensors.pop(f"{stem}parametrizations.weight.original1")
            if plain:
                tensors[f"{stem}weight"] = before[f"{stem}weight".removeprefix("codec_model.")]
            else:
                tensors[f"{stem}weight_g"], tensors[f"{stem}weight_v"] = g, v

    _edit(folder, respell)
    after = open_checkpoint(folder).tensors("codec_model.")
    assert all(np.array_equal(after[name], before[name]) for name in before)


def test_stored_heads_must_be_the_embeddings(folder: Path) -> None:
    head = "fine_acoustics.lm_heads.3.weight"
    embedding = "fine_acoustics.input_embeds_layers.4.weight"
    _edit(folder, lambda tensors: tensors.update({head: tensors[embedding].copy()}))
    assert "lm_heads.3.weight" not in open_checkpoint(folder).tensors("fine_acoustics.")
    _edit(folder, lambda tensors: tensors.update({head: tensors[embedding] + 1}))
    with pytest.raises(CheckpointUnsupportedError, match=r"lm_heads\.3\.weight differs"):
        open_checkpoint(folder)


def test_missing_folder_and_files(folder: Path) -> None:
    with pytest.raises(CheckpointNotFoundError, match=r"does not exist.*folder holds config\.json"):
        open_checkpoint(folder / "nowhere")
    with pytest.raises(CheckpointNotFoundError, match="is a file"):
        open_checkpoint(folder / "config.json")
    (folder / "tokenizer.json").unlink()
    open_checkpoint(folder, need_tokenizer=False)
    (folder / "config.json").unlink()
    (folder / WEIGHTS).unlink()
    with pytest.raises(
        CheckpointNotFoundError, match=r"lacks config.json, model.safetensors, tokenizer.json"
    ):
        open_checkpoint(folder)


def test_missing_generation_config(folder: Path) -> None:
    (folder / "generation_config.json").unlink()
    with pytest.raises(CheckpointNotFoundError, match="generation_config"):
        open_checkpoint(folder)


def test_missing_tensor_is_named(folder: Path) -> None:
    gone = "coarse_acoustics.layers.1.mlp.in_proj.weight"
    _edit(folder, lambda tensors: tensors.pop(gone) is None)
    with pytest.raises(CheckpointCorruptError, match=f"lacks 1 of .*{gone}"):
        open_checkpoint(folder)


def test_half_a_weight_norm_pair_is_missing(folder: Path) -> None:
    stem = "codec_model.encoder.layers.0.conv."
    _edit(folder, lambda t: t.pop(f"{stem}parametrizations.weight.original0") is None)
    with pytest.raises(CheckpointCorruptError, match=f"{stem}weight"):
        open_checkpoint(folder)


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("semantic.lm_head.weight", (7, 16), r"\[7, 16\].*\[110, 16\]"),
        (
            "codec_model.decoder.layers.0.conv.parametrizations.weight.original0",
            (64,),
            r"\[64\].*\[64, 1, 1\]",
        ),
    ],
)
def test_wrong_shape_is_named(
    folder: Path, name: str, shape: tuple[int, ...], expected: str
) -> None:
    _edit(folder, lambda tensors: tensors.update({name: np.zeros(shape, np.float32)}))
    with pytest.raises(CheckpointCorruptError, match=f"{name} has shape {expected}"):
        open_checkpoint(folder)


def test_unknown_tensor_is_named(folder: Path) -> None:
    extra = "semantic.layers.2.mlp.in_proj.weight"
    _edit(folder, lambda tensors: tensors.update({extra: np.zeros((64, 16), np.float32)}))
    with pytest.raises(CheckpointCorruptError, match=f"no place for: {extra}"):
        open_checkpoint(folder)


def test_integer_weights_are_refused_when_read(folder: Path) -> None:
    name = "semantic.lm_head.weight"
    _edit(folder, lambda tensors: tensors.update({name: np.zeros((110, 16), np.int8)}))
    checkpoint = open_checkpoint(folder)
    with pytest.raises(CheckpointUnsupportedError, match=f"{name} is stored as I8"):
        checkpoint.tensors("semantic.")


@pytest.mark.parametrize("keep", [0, 5, 300, -1])
def test_truncated_weights(folder: Path, keep: int) -> None:
    path = folder / WEIGHTS
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointCorruptError, match=f"{WEIGHTS} .* not a whole safetensors file"):
        open_checkpoint(folder)


def _shard(folder: Path) -> list[str]:
    tensors = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    names = sorted(tensors)
    files = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    halves = [names[::2], names[1::2]]
    for file, half in zip(files, halves, strict=True):
        save_file({name: tensors[name] for name in half}, folder / file)
    placement = {name: file for file, half in zip(files, halves, strict=True) for name in half}
    index = {"metadata": {}, "weight_map": placement}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return files


def test_shards(folder: Path) -> None:
    before = open_checkpoint(folder).tensors("")
    files = _shard(folder)
    after = open_checkpoint(folder).tensors("")
    assert all(np.array_equal(after[name], before[name]) for name in before)
    (folder / files[1]).unlink()
    with pytest.raises(CheckpointNotFoundError, match=files[1]):
        open_checkpoint(folder)


def test_index_and_shards_must_agree(folder: Path) -> None:
    files = _shard(folder)
    shutil.copy(folder / files[0], folder / files[1])
    with pytest.raises(CheckpointCorruptError, match=r"lacks tensor .* places there"):
        open_checkpoint(folder)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"semantic.lm_head.weight": "../x.safetensors"}}))
    with pytest.raises(CheckpointCorruptError, match="outside its folder"):
        open_checkpoint(folder)
    index.write_text("{}")
    with pytest.raises(CheckpointCorruptError, match="weight_map"):
        open_checkpoint(folder)


def test_parts_that_do_not_fit_together(folder: Path) -> None:
    path = folder / "config.json"
    values = json.loads(path.read_text())
    values["codec_config"]["codebook_size"] = 64
    path.write_text(json.dumps(values))
    with pytest.raises(
        CheckpointCorruptError, match="codebook_size 32 differs from the codec's 64"
    ):
        open_checkpoint(folder)


def test_saving_refuses_what_would_not_load(tmp_path: Path) -> None:
    target = tmp_path / "m"

    def save(change: Callable[[dict[str, np.ndarray]], object], dtype: str = "float32") -> None:
        tensors = dict(random_checkpoint(TINY, seed=0))
        change(tensors)
        save_checkpoint(target, TINY, tensors, SUNO_PARAMS, None, dtype)  # type: ignore[arg-type]

    name = "semantic.lm_head.weight"
    with pytest.raises(CheckpointCorruptError, match=f"1 missing .{name}"):
        save(lambda tensors: tensors.pop(name))
    with pytest.raises(CheckpointCorruptError, match=r"1 unknown .extra"):
        save(lambda tensors: tensors.update(extra=np.zeros(1)))
    with pytest.raises(CheckpointCorruptError, match=r"shape \[2\]"):
        save(lambda tensors: tensors.update({name: np.zeros(2)}))
    with pytest.raises(CheckpointCorruptError, match="not finite"):
        save(lambda tensors: tensors.update({name: np.full((110, 16), np.nan)}))
    with pytest.raises(CheckpointCorruptError, match="too large for float16"):
        save(lambda tensors: tensors.update({name: np.full((110, 16), 1e6)}), "float16")
    assert list(tmp_path.iterdir()) == []


def test_overwriting_is_asked_for_and_keeps_other_files(folder: Path) -> None:
    tensors = random_checkpoint(TINY, seed=8)
    with pytest.raises(CheckpointError, match="exists already"):
        save_checkpoint(folder, TINY, tensors, SUNO_PARAMS, None)
    (folder / "voices").mkdir()
    (folder / "voices" / "me.npz").write_bytes(b"mine")
    _shard(folder)
    save_checkpoint(folder, TINY, tensors, SUNO_PARAMS, None, overwrite=True)
    assert (folder / "voices" / "me.npz").read_bytes() == b"mine"
    assert sorted(path.name for path in folder.glob("model*")) == [WEIGHTS]
    assert (folder / "tokenizer.json").is_file()
    back = open_checkpoint(folder).tensors("semantic.")
    assert np.array_equal(back["lm_head.weight"], tensors["semantic.lm_head.weight"])
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_an_interrupted_save_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("openbark.checkpoints.save.write_safetensors", full)
    with pytest.raises(CheckpointError, match="No space left"):
        save_checkpoint(tmp_path / "m", TINY, random_checkpoint(TINY), SUNO_PARAMS, None)
    assert list(tmp_path.iterdir()) == []

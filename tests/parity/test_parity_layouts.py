"""Layouts other systems write and read: torch.save files, transformers folders, Suno's loader rules (C1, C2)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoProcessor, BarkModel

from openbark.api import Bark
from openbark.checkpoints import open_checkpoint, random_checkpoint, save_checkpoint
from openbark.checkpoints.convert import convert_to_hf, convert_to_suno
from openbark.checkpoints.formats.torch_file import read_torch_file
from openbark.config import BarkConfig
from openbark.errors import CheckpointUnsafeError, CheckpointUnsupportedError
from openbark.params import SUNO_PARAMS, GenerationParams

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hello", "wor", "##ld", "!"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Suno's vocabularies and codec around two thin layers, in the Hugging Face layout."""
    plain = BarkConfig()
    thin = {"n_layer": 2, "n_head": 2, "n_embd": 16}
    config = replace(
        plain,
        semantic=replace(plain.semantic, **thin),
        coarse=replace(plain.coarse, **thin),
        fine=replace(plain.fine, **thin),
    )
    made = tmp_path_factory.mktemp("layouts") / "hf"
    save_checkpoint(made, config, random_checkpoint(config, 4), SUNO_PARAMS, None)
    (made / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    return made


def assert_same(left: Path, right: Path) -> None:
    a = open_checkpoint(left, need_tokenizer=False).tensors("")
    b = open_checkpoint(right, need_tokenizer=False).tensors("")
    assert a.keys() == b.keys()
    for name, array in a.items():
        assert np.array_equal(array, b[name]), name


def test_torch_save_is_read(tmp_path: Path) -> None:
    """What torch writes: every float type, views, parameters, an optimizer, numpy scalars."""
    module = torch.nn.Linear(3, 4)
    optimizer = torch.optim.AdamW(module.parameters())
    module(torch.randn(2, 3)).sum().backward()
    optimizer.step()
    base = torch.arange(24.0).reshape(4, 6)
    content: dict[str, Any] = {
        "model": module.state_dict(),
        "parameter": module.weight,
        "optimizer": optimizer.state_dict(),
        "best_val_loss": np.float64(1.5),
        "view": base.T[1:, 1:],
        "brain": base.bfloat16(),
        "half": base.half(),
        "double": base.double(),
        "empty": torch.zeros(0, 3),
        "shape": base.shape,
    }
    torch.save(content, tmp_path / "a.pt")
    found = read_torch_file(tmp_path / "a.pt")
    assert found["best_val_loss"] == 1.5
    assert tuple(found["shape"]) == (4, 6)
    assert np.array_equal(found["parameter"].read(), module.weight.detach().numpy())
    assert np.array_equal(found["model"]["bias"].read(), module.bias.detach().numpy())
    assert np.array_equal(found["view"].read(), base.T[1:, 1:].numpy())
    for name in ("brain", "half", "double"):
        assert np.array_equal(found[name].read(), base.numpy())
    assert found["empty"].read().shape == (0, 3)


def test_what_torch_must_not_open_here(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointUnsupportedError, match=r"before 1\.6"):
        read_torch_file(tmp_path / "old.pt")
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pt")
    with pytest.raises(CheckpointUnsafeError, match=r"torch\.nn\.modules\.linear\.Linear"):
        read_torch_file(tmp_path / "module.pt")


def test_suno_files_under_the_loader_s_rules(folder: Path, tmp_path: Path) -> None:
    """torch.load opens them in its safe mode; keys, model_args and best_val_loss are as parity C1 says."""
    made = convert_to_suno(open_checkpoint(folder), tmp_path / "suno")
    ours = open_checkpoint(folder)
    for stage, sizes in (
        ("text", ours.config.semantic),
        ("coarse", ours.config.coarse),
        ("fine", ours.config.fine),
    ):
        content = torch.load(made / f"{stage}.pt", weights_only=True)
        content["best_val_loss"].item()
        args = content["model_args"]
        assert (args["n_layer"], args["n_head"], args["n_embd"]) == (2, 2, 16)
        assert (args["input_vocab_size"], args["output_vocab_size"]) == (
            sizes.input_vocab_size,
            sizes.output_vocab_size,
        )
        assert args["block_size"] == 1024
        assert args["bias"] is False
        assert all(key.startswith("_orig_mod.") for key in content["model"])
        model = {k.removeprefix("_orig_mod."): v for k, v in content["model"].items()}
        assert model["transformer.wpe.weight"].shape == (1024, 16)
        assert model["transformer.h.1.mlp.c_fc.weight"].shape == (64, 16)
        if stage == "fine":
            assert (args["n_codes_total"], args["n_codes_given"]) == (8, 1)
            heads, tables = model["lm_heads.6.weight"], model["transformer.wtes.7.weight"]
            assert heads.data_ptr() == tables.data_ptr()
        else:
            table = ours.tensors("semantic." if stage == "text" else "coarse_acoustics.")
            wte = table["input_embeds_layer.weight"]
            assert np.array_equal(model["transformer.wte.weight"].numpy(), wte)


def test_torch_s_own_suno_file_with_optimizer(folder: Path, tmp_path: Path) -> None:
    """The published form: numpy scalar, optimizer state, compiler's prefix."""
    made = convert_to_suno(open_checkpoint(folder), tmp_path / "suno")
    for stage in ("text", "coarse", "fine"):
        content = torch.load(made / f"{stage}.pt", weights_only=True)
        moments = {i: {"exp_avg": t.clone()} for i, t in enumerate(content["model"].values())}
        content |= {
            "best_val_loss": np.float32(2.25),
            "optimizer": {"state": moments, "param_groups": [{"lr": 1e-4, "betas": (0.9, 0.95)}]},
            "iter_num": 100_000,
            "config": {"device": "cuda"},
        }
        torch.save(content, made / f"{stage}.pt")
    assert_same(made, folder)


def test_transformers_loads_what_is_converted(folder: Path, tmp_path: Path) -> None:
    suno = convert_to_suno(open_checkpoint(folder), tmp_path / "suno")
    made = convert_to_hf(open_checkpoint(suno), tmp_path / "hf")
    model, report = BarkModel.from_pretrained(made, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    processor = AutoProcessor.from_pretrained(made)
    ids = processor("hello world!")["input_ids"][0]
    assert ids[:4].tolist() == [5, 6, 7, 8]
    wte = open_checkpoint(folder).tensors("semantic.")["input_embeds_layer.weight"]
    found = model.semantic.input_embeds_layer.weight.detach().numpy()
    assert np.array_equal(found, wte)


def test_C2_pickled_transformers_folder(folder: Path, tmp_path: Path) -> None:
    """pytorch_model.bin as torch writes it, with tied heads, masks and the old names of weight norm."""
    model = BarkModel.from_pretrained(folder)
    model.save_pretrained(tmp_path / "new")
    state = {}
    for name, tensor in model.state_dict().items():
        name = name.replace("parametrizations.weight.original0", "weight_g")
        state[name.replace("parametrizations.weight.original1", "weight_v")] = tensor
    assert any("lm_heads" in name for name in state)
    assert any("attn.bias" in name for name in state)
    (tmp_path / "new" / "model.safetensors").unlink()
    torch.save(state, tmp_path / "new" / "pytorch_model.bin")
    assert open_checkpoint(tmp_path / "new", need_tokenizer=False).layout == "bin"
    assert_same(tmp_path / "new", folder)


def test_tokens_after_conversion(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same tokens from Suno's files, converted on first use, as from the folder they were made of."""
    monkeypatch.setenv("OPENBARK_CACHE", str(tmp_path / "cache"))
    suno = convert_to_suno(open_checkpoint(folder), tmp_path / "suno")
    params = GenerationParams.greedy(max_semantic_tokens=6)
    clips = [
        Bark.load(path, threads=1).generate("hello world!", params=params, seed=1)
        for path in (folder, suno)
    ]
    assert clips[0].n_text_tokens == 4
    assert len(clips[0].tokens.semantic) == 6
    for name in ("semantic", "coarse", "fine"):
        found, expected = (getattr(clip.tokens, name) for clip in reversed(clips))
        assert np.array_equal(found, expected), name
    assert len(list((tmp_path / "cache" / "converted").glob("suno-*/model.safetensors"))) == 1

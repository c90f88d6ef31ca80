"""One network alone: a folder written by either side gives the same logits in the other (H8, H11)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BarkModel as TheirModel
from transformers.models.bark import modeling_bark as theirs

from openbark.checkpoints import open_checkpoint, random_checkpoint, save_checkpoint
from openbark.checkpoints.convert import convert_to_suno
from openbark.compat import transformers as ours
from openbark.config import BarkConfig
from openbark.errors import CheckpointCorruptError, CheckpointUnsupportedError, ParamError
from openbark.params import SUNO_PARAMS

KINDS = ("BarkSemanticModel", "BarkCoarseModel", "BarkFineModel")
PREFIXES = ("semantic", "coarse_acoustics", "fine_acoustics")
PARTS = list(zip(KINDS, PREFIXES, strict=True))


def logits(model: Any) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        if hasattr(model, "lm_heads"):
            return model(3, torch.randint(0, 33, (2, 9, 8), generator=generator)).logits
        return model(torch.randint(0, 100, (2, 9), generator=generator)).logits


@pytest.mark.parametrize(("kind", "prefix"), PARTS)
def test_H8_H11_folders_of_one_network(
    tiny_checkpoint_dir: Path, tmp_path: Path, kind: str, prefix: str
) -> None:
    whole = getattr(TheirModel.from_pretrained(tiny_checkpoint_dir), prefix).eval()
    expected = logits(whole)
    whole.save_pretrained(tmp_path / "theirs")
    found = getattr(ours, kind).from_pretrained(tmp_path / "theirs")
    assert (logits(found) - expected).abs().max() < 1e-5
    found.save_pretrained(tmp_path / "ours")
    again, report = getattr(theirs, kind).from_pretrained(
        tmp_path / "ours", output_loading_info=True
    )
    assert not report["missing_keys"] and not report["unexpected_keys"]
    assert (logits(again.eval()) - expected).abs().max() < 1e-5
    assert again.config.to_dict() == whole.config.to_dict() | {
        "transformers_version": again.config.transformers_version,
        "_name_or_path": again.config._name_or_path,
    }
    part = getattr(ours, kind).from_pretrained(tiny_checkpoint_dir, dtype=torch.float64)
    assert part.dtype == torch.float64
    assert (logits(part) - expected).abs().max() < 1e-5


def test_H9_a_part_of_suno_s_files(tmp_path: Path) -> None:
    plain, thin = BarkConfig(), {"n_layer": 1, "n_head": 2, "n_embd": 8}
    config = replace(
        plain,
        semantic=replace(plain.semantic, **thin),
        coarse=replace(plain.coarse, **thin),
        fine=replace(plain.fine, **thin),
    )
    folder = save_checkpoint(tmp_path / "hf", config, random_checkpoint(config), SUNO_PARAMS, None)
    suno = convert_to_suno(open_checkpoint(folder, need_tokenizer=False), tmp_path / "suno")
    found, expected = (ours.BarkFineModel.from_pretrained(path) for path in (suno, folder))
    assert torch.equal(logits(found), logits(expected))


def test_H10_other_folders_are_refused(tiny_checkpoint_dir: Path, tmp_path: Path) -> None:
    coarse = ours.BarkCoarseModel.from_pretrained(tiny_checkpoint_dir, dtype="float16")
    coarse.save_pretrained(tmp_path / "c")
    again = ours.BarkCoarseModel.from_pretrained(tmp_path / "c", dtype="auto")
    assert again.dtype == torch.float16
    assert torch.equal(again.lm_head.weight, coarse.lm_head.weight)
    with pytest.raises(CheckpointUnsupportedError, match="holds a 'coarse_acoustics'"):
        ours.BarkSemanticModel.from_pretrained(tmp_path / "c")
    with pytest.raises(CheckpointCorruptError, match="lacks lm_head"):
        _without_head(tmp_path / "c")
    with pytest.raises(ParamError, match="pickles"):
        coarse.save_pretrained(tmp_path / "c", safe_serialization=False)


def _without_head(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    file = folder / "model.safetensors"
    tensors = {name: t for name, t in load_file(file).items() if name != "lm_head.weight"}
    save_file(tensors, file, metadata={"format": "pt"})
    ours.BarkCoarseModel.from_pretrained(folder)


def test_H11_resizing_as_there(tiny_checkpoint_dir: Path) -> None:
    for kind, prefix in PARTS:
        mine = getattr(ours, kind).from_pretrained(tiny_checkpoint_dir)
        other = getattr(TheirModel.from_pretrained(tiny_checkpoint_dir), prefix)
        for model in (mine, other):
            model.resize_token_embeddings(190, pad_to_multiple_of=8)
        for name in ("input_vocab_size", "output_vocab_size"):
            assert getattr(mine.config, name) == getattr(other.config, name), (kind, name)
        before = dict(other.state_dict())
        for name, tensor in mine.state_dict().items():
            assert tensor.shape == before[name].shape, name
            if "lm_head" not in name:
                assert torch.equal(tensor[:33], before[name][:33]), name
        mine.resize_token_embeddings(40, mean_resizing=False)
        assert mine.config.input_vocab_size == 40
        mine.set_input_embeddings(mine.get_input_embeddings())
        with pytest.raises(ParamError, match="new_num_tokens is 0"):
            mine.resize_token_embeddings(0)


def test_H1_sizes_of_a_model(tiny_checkpoint_dir: Path) -> None:
    mine, other = (
        kind.from_pretrained(tiny_checkpoint_dir) for kind in (ours.BarkModel, TheirModel)
    )
    for part in PREFIXES:
        a, b = getattr(mine, part), getattr(other, part)
        assert a.num_parameters() == b.num_parameters()
        if part != "fine_acoustics":  # its heads are its embeddings, so nothing is left of them
            assert a.num_parameters(exclude_embeddings=True) == b.num_parameters(
                exclude_embeddings=True
            )
        assert a.get_memory_footprint(return_buffers=False) == b.get_memory_footprint(
            return_buffers=False
        )
        assert a.can_generate() and a.to_bettertransformer() is a
        assert a.base_model_prefix == b.base_model_prefix

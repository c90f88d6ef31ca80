"""Configs, generation configs and forward of openbark.compat.transformers, without transformers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from shim_models import SLOTS, codes

from openbark.compat import transformers as hf
from openbark.errors import (
    ParamError,
    TextError,
    TrainingError,
)


def test_transformers_is_never_imported() -> None:
    code = (
        "import sys, openbark.compat.transformers\n"
        "sys.exit(any(name in sys.modules for name in ('transformers', 'scipy', 'accelerate')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_H1_H2_sub_configs() -> None:
    config = hf.BarkSemanticConfig(num_hidden_layers=3, vocab_size=11)
    assert (config.num_layers, config.input_vocab_size, config.window_size) == (3, 11, 1024)
    assert (config.hidden_size, config.bias, config.use_cache) == (768, True, True)
    config.num_attention_heads = 4
    assert config.num_heads == 4
    assert hf.BarkSemanticConfig.from_dict(config.to_dict()) == config
    assert (hf.BarkFineConfig().n_codes_total, hf.BarkFineConfig().n_codes_given) == (8, 1)
    with pytest.raises(ParamError, match="num_layer'"):
        hf.BarkSemanticConfig(num_layer=3)


def test_H3_config(folder: Path, tmp_path: Path) -> None:
    config = hf.AutoConfig.from_pretrained(folder)
    assert config.coarse_acoustics_config.hidden_size == 16
    assert config.codec_config.sampling_rate == 24_000
    config.save_pretrained(tmp_path)
    assert hf.BarkConfig.from_pretrained(tmp_path) == config
    small = hf.BarkConfig(semantic_config={"num_layers": 1}, codec_config={"hidden_size": 64})
    assert small.semantic_config.num_layers == 1
    assert small.codec_config.codebook_dim == 64
    assert not hasattr(hf.BarkConfig, "from_sub_model_configs")


def test_H4_H5_H6_generation_config_defaults() -> None:
    semantic = hf.BarkSemanticGenerationConfig()
    assert (semantic.eos_token_id, semantic.semantic_pad_token) == (10_000, 10_000)
    assert (semantic.do_sample, semantic.temperature, semantic.min_eos_p) == (False, 1.0, None)
    assert hf.BarkSemanticGenerationConfig(eos_token_id=7).semantic_pad_token == 7
    coarse = hf.BarkCoarseGenerationConfig()
    assert (coarse.max_coarse_history, coarse.sliding_window_len) == (630, 60)
    assert hf.BarkFineGenerationConfig().max_fine_history_length == 512


def test_H7_generation_config_works_on_a_model(
    model: hf.BarkModel, processor: hf.BarkProcessor
) -> None:
    """transformers raises TypeError or AttributeError here."""
    own = model.generation_config
    rebuilt = hf.BarkGenerationConfig.from_sub_model_configs(
        own.semantic_config, own.coarse_acoustics_config, own.fine_acoustics_config, 24_000, 32
    )
    inputs = processor("hello there")
    greedy = {"do_sample": False, "temperature": 1.0}
    first = model.generate(**inputs, **greedy)
    assert torch.equal(model.generate(**inputs, **greedy, generation_config=rebuilt), first)
    assert torch.equal(
        model.generate(**inputs, **greedy, generation_config=rebuilt.to_dict()), first
    )
    assert dict(**own.semantic_config)["text_encoding_offset"] == 110


def test_H8_labels_are_refused(model: hf.BarkModel) -> None:
    ids = torch.zeros((1, 3), dtype=torch.int64)
    with pytest.raises(TrainingError, match=r"openbark\.training"):
        model.semantic(ids, labels=ids)
    with pytest.raises(ParamError, match=r"codebook_idx is 0; allowed: 1\.\.7"):
        model.fine_acoustics(0, torch.zeros((1, 32, 8), dtype=torch.int64))


def test_H9_widths(model: hf.BarkModel) -> None:
    """Fewer ids than slots crash there, more are cut silently there."""
    config = model.generation_config.semantic_config
    short = torch.arange(1, 6)[None]
    wide = torch.cat([short, torch.zeros((1, SLOTS), dtype=torch.int64)], dim=1)
    mask = (torch.arange(wide.shape[1]) < 5).long()[None]
    greedy = {"do_sample": False, "temperature": 1.0}
    narrow = model.semantic.generate(short, config, **greedy)
    assert torch.equal(model.semantic.generate(wide, config, attention_mask=mask, **greedy), narrow)
    with pytest.raises(TextError, match="21 tokens long"):
        model.semantic.generate(wide, config)
    with pytest.raises(ParamError, match="semantic_generation_config"):
        model.semantic.generate(short)


def test_H10_semantic_output_is_left_alone(model: hf.BarkModel) -> None:
    own = model.generation_config
    tokens = torch.tensor([[1, 2, 3, 4, 100, 100]])
    before = tokens.clone()
    model.coarse_acoustics.generate(
        tokens, own.semantic_config, own.coarse_acoustics_config, own.codebook_size
    )
    assert torch.equal(tokens, before)


def test_H11_resize(folder: Path) -> None:
    fine = hf.BarkModel.from_pretrained(folder).fine_acoustics
    fine.resize_token_embeddings(40, pad_to_multiple_of=16)
    assert fine.config.output_vocab_size == 48
    assert fine.lm_heads[0].weight is fine.input_embeds_layers[1].weight
    assert fine(1, torch.zeros((1, 4, 8), dtype=torch.int64)).logits.shape == (1, 4, 48)


def test_B19_H13_codec_decode_one_by_one(model: hf.BarkModel) -> None:
    fine = torch.from_numpy(np.stack([codes(), codes()]))
    whole = model.codec_decode(fine)
    parts = model.codec_decode(fine, [30, 11])
    assert [len(part) for part in parts] == [30 * 320, 11 * 320]
    assert torch.allclose(parts[0], whole[0], atol=1e-6)


def test_H1_H3_dictionaries_and_files(tmp_path: Path) -> None:
    config = hf.BarkCoarseConfig(num_layers=2)
    assert config.to_diff_dict() == {"model_type": "coarse_acoustics", "num_layers": 2}
    config.to_json_file(tmp_path / "c.json")
    assert hf.BarkCoarseConfig.from_json_file(tmp_path / "c.json") == config
    whole = hf.BarkConfig(coarse_acoustics_config=config)
    assert set(whole.to_diff_dict()) == {"model_type", "coarse_acoustics_config"}


def test_H6_validate() -> None:
    with pytest.raises(ParamError, match="semantic stage: top_p is 2"):
        hf.BarkSemanticGenerationConfig(top_p=2).validate()
    hf.BarkFineGenerationConfig(top_p=2).validate()
    with pytest.raises(ParamError, match="'colour'"):
        hf.BarkFineGenerationConfig(colour=1)

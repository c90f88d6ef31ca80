"""Single rules of transformers' generation, each next to transformers itself on the same random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import BarkModel as TheirModel
from transformers.models.bark import generation_configuration_bark as their_rules
from transformers_oracle import random_voice

from openbark.checkpoints import random_checkpoint, save_checkpoint
from openbark.compat import transformers as hf
from openbark.config import BarkConfig
from openbark.params import SUNO_PARAMS
from openbark.stages.coarse import n_coarse_steps

TINY = BarkConfig.tiny()
EOS = TINY.semantic_rules.eos_token
GREEDY = {"do_sample": False, "temperature": 1.0}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[hf.BarkModel, Any]:
    tensors = random_checkpoint(TINY, 9)
    folder = tmp_path_factory.mktemp("rules") / "m"
    save_checkpoint(folder, TINY, tensors, SUNO_PARAMS, None)
    theirs = TheirModel.from_pretrained(folder).double().eval()
    return hf.BarkModel.from_pretrained(folder, dtype=torch.float64), theirs


def ids(rows: int = 1, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 60, (rows, TINY.semantic_rules.max_text_tokens), generator=generator)


def fine_configs(kind: Any, model: Any) -> dict[str, Any]:
    plain = model.generation_config
    return {
        "semantic_generation_config": kind.BarkSemanticGenerationConfig(**plain.semantic_config),
        "coarse_generation_config": kind.BarkCoarseGenerationConfig(
            **plain.coarse_acoustics_config
        ),
        "fine_generation_config": kind.BarkFineGenerationConfig(**plain.fine_acoustics_config),
    }


def test_H24_top_k_is_50_where_nothing_says_otherwise(pair: tuple[hf.BarkModel, Any]) -> None:
    ours, theirs = pair
    plain = dict(theirs.generation_config.semantic_config) | {"do_sample": True, "temperature": 2.0}
    plain.pop("top_k", None)
    found = []
    for options in ({}, {"top_k": 50}, {"top_k": 0}):
        for model, kind in ((ours, hf), (theirs, their_rules)):
            torch.manual_seed(8)
            config = kind.BarkSemanticGenerationConfig(**plain)
            tokens = model.semantic.generate(ids(4), config, max_new_tokens=30, **options)
            found.append(tokens.tolist())
    opened, open_there, fifty, fifty_there, every, every_there = found
    assert opened == open_there == fifty == fifty_there
    assert every == every_there != fifty


def test_H25_fine_looks_at_temperature_alone(pair: tuple[hf.BarkModel, Any]) -> None:
    """0.5 samples although do_sample is False; 1.0 and None are both greedy, whatever the seed."""
    coarse = torch.randint(100, 132, (1, 40), generator=torch.Generator().manual_seed(0))
    coarse[:, 1::2] += 32
    draws: dict[Any, list[Any]] = {}
    for temperature in (0.5, 1.0, None):
        for seed in (1, 2):
            tokens = []
            for model, kind in zip(pair, (hf, their_rules), strict=True):
                torch.manual_seed(seed)
                options = {"temperature": temperature, "do_sample": temperature != 0.5}
                configs = fine_configs(kind, model)
                tokens.append(
                    model.fine_acoustics.generate(coarse, codebook_size=32, **configs, **options)
                )
            assert torch.equal(*tokens)
            draws.setdefault(temperature, []).append(tokens[0].tolist())
    assert draws[0.5][0] != draws[0.5][1]
    assert draws[1.0] == draws[None] == [draws[None][0]] * 2


def test_H27_one_voice_for_every_row(pair: tuple[hf.BarkModel, Any]) -> None:
    voice = random_voice(TINY, 33).for_transformers()
    batch = ids(3)
    options = {"return_output_lengths": True, "semantic_max_new_tokens": 12, **GREEDY}
    for model in pair:
        together, lengths = model.generate(batch, history_prompt=voice, **options)
        for row in range(3):
            alone, (length,) = model.generate(batch[row : row + 1], history_prompt=voice, **options)
            assert lengths[row] == length
            assert torch.allclose(together[row, :length], alone[0], atol=1e-6)


def test_B10_H28_rows_run_as_long_as_the_longest(pair: tuple[hf.BarkModel, Any]) -> None:
    """A row that ended early goes on as padding; only lengths say where its speech stops."""
    batch = ids(6, seed=3)
    semantic = []
    for model, kind in zip(pair, (hf, their_rules), strict=True):
        config = fine_configs(kind, model)["semantic_generation_config"]
        bias = {(EOS,): 2.5}
        semantic.append(
            model.semantic.generate(batch, config, sequence_bias=bias, max_new_tokens=20, **GREEDY)
        )
    assert torch.equal(*semantic)
    rows = semantic[0].tolist()
    counts = [row.index(EOS) if EOS in row else len(row) for row in rows]
    assert len(set(counts)) > 1
    assert all(set(row[count:]) <= {EOS} for row, count in zip(rows, counts, strict=True))
    options = {"semantic_sequence_bias": {(EOS,): 2.5}, "semantic_max_new_tokens": 20, **GREEDY}
    options["semantic_min_new_tokens"] = 3
    for model in pair:
        plain = model.generate(batch, **options)
        padded, lengths = model.generate(batch, return_output_lengths=True, **options)
        assert plain.shape == (6, max(lengths))
        assert len(set(lengths)) > 1
        short = int(np.argmin(lengths))
        assert plain[short, lengths[short] :].abs().max() > 0
        assert padded[short, lengths[short] :].abs().max() == 0


def test_B9_number_of_coarse_steps_for_every_length() -> None:
    """float64 here, float32 there; the same for all lengths that there are, as is OpenBark's own."""
    suno = BarkConfig()
    ratio = suno.coarse_rules.rate_hz / suno.semantic_rules.rate_hz * 2
    counts = torch.arange(1, 769)
    theirs = torch.round(torch.floor(counts * ratio / 2) * 2).int()
    from openbark.compat.transformers.modeling_causal import _coarse_lengths

    tokens = (torch.arange(768)[None] >= counts[:, None]).long()  # 1 is padding
    assert torch.equal(_coarse_lengths(tokens, 1, ratio, 2), theirs)
    assert [n_coarse_steps(int(count), suno) for count in counts] == theirs.tolist()


def test_B16_white_space_is_squeezed_first(tiny_checkpoint_dir: Path) -> None:
    """transformers' tokenizer deletes control characters: there "a\\x0bb" is one word."""
    processor = hf.AutoProcessor.from_pretrained(tiny_checkpoint_dir)
    expected = processor("a b")["input_ids"]
    for text in ("a\x0bb", " a \n\tb ", "a\u2003b"):
        assert torch.equal(processor(text)["input_ids"], expected)


def test_B21_nothing_is_added_around_speech(pair: tuple[hf.BarkModel, Any]) -> None:
    """Samples are frames times hop, and no more, in both."""
    for model in pair:
        _, (length,) = model.generate(
            ids(), return_output_lengths=True, semantic_max_new_tokens=8, **GREEDY
        )
        ratio = TINY.frames_per_semantic
        assert length in [int(n * ratio) * TINY.codec.hop_length for n in range(1, 9)]

"""openbark.compat.transformers against transformers over Suno's own windows (60, 512, 1024), and at bark-small's size.

The narrow model has Suno's vocabularies and rules on one thin layer, in float64. bark-small's shape runs in float32,
where a token may differ only after one whose two best scores were as close as float32 rounds.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from transformers import BarkConfig as TheirConfig
from transformers import BarkModel as TheirModel
from transformers import GenerationConfig
from transformers.models.bark import generation_configuration_bark as their_rules
from transformers_oracle import random_voice

from openbark.checkpoints import random_checkpoint, save_checkpoint
from openbark.checkpoints.layouts.config_json import config_json
from openbark.checkpoints.layouts.generation_json import generation_json
from openbark.compat.transformers import BarkModel
from openbark.config import BarkConfig, EncodecConfig
from openbark.params import SUNO_PARAMS

SAMPLED = {"do_sample": True, "temperature": 0.8}
GREEDY = {"do_sample": False, "temperature": 1.0}


def narrow_suno() -> BarkConfig:
    plain = BarkConfig()
    size = {"n_layer": 1, "n_head": 2, "n_embd": 16}
    codec = EncodecConfig(hidden_size=8, num_filters=2, codebook_dim=8)
    return replace(
        plain,
        semantic=replace(plain.semantic, **size),
        coarse=replace(plain.coarse, **size),
        fine=replace(plain.fine, **size),
        codec=codec,
    )


CONFIG = narrow_suno()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    folder = tmp_path_factory.mktemp("borders") / "m"
    save_checkpoint(folder, CONFIG, random_checkpoint(CONFIG, 3), SUNO_PARAMS, None)
    theirs = TheirModel.from_pretrained(folder).double().eval()
    return BarkModel.from_pretrained(folder, dtype=torch.float64), theirs


def rules(model: Any) -> dict[str, Any]:
    """The three generation configs; theirs as objects, which their stages want."""
    if isinstance(model, BarkModel):
        own = model.generation_config
        parts = (own.semantic_config, own.coarse_acoustics_config, own.fine_acoustics_config)
    else:
        plain = model.generation_config
        parts = (
            their_rules.BarkSemanticGenerationConfig(**plain.semantic_config),
            their_rules.BarkCoarseGenerationConfig(**plain.coarse_acoustics_config),
            their_rules.BarkFineGenerationConfig(**plain.fine_acoustics_config),
        )
    names = ("semantic_generation_config", "coarse_generation_config", "fine_generation_config")
    return dict(zip(names, parts, strict=True))


def history(n_semantic: int | None) -> dict[str, torch.Tensor] | None:
    return None if n_semantic is None else random_voice(CONFIG, n_semantic).for_transformers()


@pytest.mark.parametrize("options", [GREEDY, SAMPLED, {"num_beams": 2, **GREEDY}])
@pytest.mark.parametrize("n_voice", [None, 100, 400])
def test_H9_semantic_tokens(pair: Any, n_voice: int | None, options: dict[str, Any]) -> None:
    ids = torch.randint(0, 119_000, (2, 256), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    mask[1, 20:] = 0
    found = []
    for model in pair:
        torch.manual_seed(2)
        tokens = model.semantic.generate(
            ids,
            attention_mask=mask,
            history_prompt=history(n_voice),
            semantic_generation_config=rules(model)["semantic_generation_config"],
            max_new_tokens=24,
            **options,
        )
        found.append(tokens.tolist())
    assert found[0] == found[1]


@pytest.mark.parametrize("options", [GREEDY, SAMPLED])
@pytest.mark.parametrize(
    ("n_semantic", "n_voice"), [(20, None), (21, None), (25, 84), (25, 250), (45, 400)]
)
def test_H10_coarse_windows_of_60(
    pair: Any, n_semantic: int, n_voice: int | None, options: dict[str, Any]
) -> None:
    generator = torch.Generator().manual_seed(n_semantic)
    semantic = torch.randint(0, 10_000, (2, n_semantic), generator=generator)
    semantic[1, n_semantic // 2 :] = 10_000
    found = []
    for model in pair:
        torch.manual_seed(2)
        configs = rules(model)
        configs.pop("fine_generation_config")
        tokens, lengths = model.coarse_acoustics.generate(
            semantic.clone(),
            history_prompt=history(n_voice),
            return_output_lengths=True,
            **configs,
            **options,
        )
        found.append((tokens.tolist(), lengths.tolist()))
    assert found[0] == found[1]


@pytest.mark.parametrize("temperature", [None, 0.5])
@pytest.mark.parametrize(
    ("n_frames", "n_voice"),
    [(511, None), (512, 100), (513, 400), (1024, None), (1025, 400)],
)
def test_H11_fine_windows_of_512_and_1024(
    pair: Any, n_frames: int, n_voice: int | None, temperature: float | None
) -> None:
    generator = torch.Generator().manual_seed(n_frames)
    codes = torch.randint(0, 1024, (2, n_frames, 2), generator=generator)
    coarse = (codes + torch.tensor([10_000, 11_024])).reshape(2, -1)
    found = []
    for model in pair:
        torch.manual_seed(2)
        tokens = model.fine_acoustics.generate(
            coarse, history_prompt=history(n_voice), temperature=temperature, **rules(model)
        )
        found.append(tokens)
    assert torch.equal(*found)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """12 layers of 768, bark-small's, with transformers' own random weights, in float32."""
    config = replace(BarkConfig(), codec=CONFIG.codec)
    torch.manual_seed(0)
    theirs = TheirModel(TheirConfig.from_dict(config_json(config, "float32"))).eval()
    theirs.generation_config = GenerationConfig(**generation_json(config, SUNO_PARAMS))
    folder = tmp_path_factory.mktemp("small")
    theirs.save_pretrained(folder)
    return BarkModel.from_pretrained(folder), theirs


class Margins:
    """A stopping criterion that never stops: how far the best score was from the next one."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def __call__(self, tokens: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        best = scores.topk(2, dim=-1).values
        self.seen.append(float((best[:, 0] - best[:, 1]).min()))
        return torch.zeros(len(tokens), dtype=torch.bool)


def assert_equal_where_sure(
    found: torch.Tensor, expected: torch.Tensor, margins: list[float], at_least: int
) -> None:
    """Rows [1, T] equal up to the first token that rounding decides; `at_least` tokens before it."""
    unsure = [n for n, margin in enumerate(margins) if margin < 1e-4]
    n_sure = min([*unsure, found.shape[1]])
    assert n_sure >= at_least
    assert found[:, :n_sure].tolist() == expected[:, :n_sure].tolist()


@pytest.mark.slow
@pytest.mark.parametrize("n_voice", [None, 60])
def test_H9_bark_small_semantic(small: Any, n_voice: int | None) -> None:
    ids = torch.randint(0, 119_000, (1, 256), generator=torch.Generator().manual_seed(1))
    margins = Margins()
    found, expected = (
        model.semantic.generate(
            ids,
            history_prompt=history(n_voice),
            semantic_generation_config=rules(model)["semantic_generation_config"],
            max_new_tokens=10,
            **options,
            **GREEDY,
        )
        for model, options in zip(small, ({"stopping_criteria": [margins]}, {}), strict=True)
    )
    assert_equal_where_sure(found, expected, margins.seen, 8)


@pytest.mark.slow
@pytest.mark.parametrize("n_voice", [None, 60])
def test_H10_bark_small_coarse(small: Any, n_voice: int | None) -> None:
    """Over the border of 60."""
    semantic = torch.randint(0, 10_000, (1, 24), generator=torch.Generator().manual_seed(1))
    margins = Margins()
    tokens = []
    for model, options in zip(small, ({"stopping_criteria": [margins]}, {}), strict=True):
        configs = rules(model)
        configs.pop("fine_generation_config")
        tokens.append(
            model.coarse_acoustics.generate(
                semantic.clone(), history_prompt=history(n_voice), **configs, **options, **GREEDY
            )
        )
    assert tokens[0].shape == (1, 72)
    assert_equal_where_sure(*tokens, margins.seen, 62)


@pytest.mark.slow
@pytest.mark.parametrize("k", [1, 7])
def test_H11_bark_small_fine(small: Any, k: int) -> None:
    codes = torch.randint(0, 1024, (1, 700, 8), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        ours, theirs = (model.fine_acoustics(k, codes).logits for model in small)
    assert (ours - theirs).abs().max() < 1e-4 * theirs.abs().max()
    best = theirs.topk(2, dim=-1).values
    sure = best[..., 0] - best[..., 1] > 1e-3 * theirs.abs().max()
    assert sure.float().mean() > 0.9
    assert torch.equal(ours.argmax(-1)[sure], theirs.argmax(-1)[sure])

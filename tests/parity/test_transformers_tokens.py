"""openbark.compat.transformers against transformers, on the same random weights: tokens, logits, audio."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from transformers import BarkModel as TheirModel
from transformers_oracle import random_voice

from openbark.checkpoints import random_checkpoint, save_checkpoint
from openbark.compat.transformers import BarkModel
from openbark.config import BarkConfig
from openbark.params import SUNO_PARAMS

TINY = BarkConfig.tiny()
SLOTS = TINY.semantic_rules.max_text_tokens


class Pair(NamedTuple):
    ours: BarkModel
    theirs: Any
    folder: Path


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Both models in float64. Ids behind the coarse codebooks stay random: they leak, and must leak alike."""
    tensors = random_checkpoint(TINY, 7)
    tensors["semantic.lm_head.weight"][TINY.semantic_rules.eos_token] *= 0.3
    folder = save_checkpoint(
        tmp_path_factory.mktemp("shim") / "m", TINY, tensors, SUNO_PARAMS, None
    )
    theirs = TheirModel.from_pretrained(folder).double().eval()
    return Pair(BarkModel.from_pretrained(folder, dtype=torch.float64), theirs, folder)


def inputs(rows: int = 1) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(rows)
    ids = torch.randint(0, 60, (rows, SLOTS), generator=generator)
    mask = torch.zeros_like(ids)
    for row in range(rows):
        mask[row, : 5 + 3 * row] = 1
    return {"input_ids": ids * mask, "attention_mask": mask}


def voice(n_semantic: int | None) -> dict[str, torch.Tensor] | None:
    return None if n_semantic is None else random_voice(TINY, n_semantic).for_transformers()


def options_of(stage: str, options: dict[str, Any]) -> dict[str, Any]:
    """What `BarkModel.generate` would hand to a causal stage."""
    own = {name.removeprefix(f"{stage}_"): value for name, value in options.items()}
    others = ("semantic_", "coarse_", *(["min_eos_p"] if stage == "coarse" else []))
    return {name: value for name, value in own.items() if not name.startswith(others)}


def stages(model: Any, options: dict[str, Any], prompt: Any, rows: int, configs: Any) -> list[Any]:
    """Tokens of the three stages, one after the other, from one torch seed."""
    torch.manual_seed(5)
    semantic_config, coarse_config, fine_config = configs
    with torch.no_grad():
        semantic = model.semantic.generate(
            **inputs(rows),
            semantic_generation_config=semantic_config,
            history_prompt=prompt,
            **options_of("semantic", options),
        )
        coarse, lengths = model.coarse_acoustics.generate(
            semantic.clone(),
            semantic_generation_config=semantic_config,
            coarse_generation_config=coarse_config,
            codebook_size=TINY.codebook_size,
            history_prompt=prompt,
            return_output_lengths=True,
            **options_of("coarse", options),
        )
        fine = model.fine_acoustics.generate(
            coarse,
            semantic_generation_config=semantic_config,
            coarse_generation_config=coarse_config,
            fine_generation_config=fine_config,
            codebook_size=TINY.codebook_size,
            history_prompt=prompt,
            **{name: value for name, value in options.items() if name == "temperature"},
        )
    return [semantic.tolist(), coarse.tolist(), lengths.tolist(), fine.tolist()]


def configs_of(model: Any) -> Any:
    """Their generation-config objects: ours read them too, because both read attributes."""
    from transformers.models.bark import generation_configuration_bark as theirs

    plain = model.generation_config
    return (
        theirs.BarkSemanticGenerationConfig(**plain.semantic_config),
        theirs.BarkCoarseGenerationConfig(**plain.coarse_acoustics_config),
        theirs.BarkFineGenerationConfig(**plain.fine_acoustics_config),
    )


def ours_of(model: BarkModel) -> Any:
    plain = model.generation_config
    return plain.semantic_config, plain.coarse_acoustics_config, plain.fine_acoustics_config


CASES: dict[str, dict[str, Any]] = {
    "B12 greedy": {"do_sample": False, "temperature": 1.0},
    "B1 checkpoint defaults": {},
    "B2 H24 top_k": {"do_sample": True, "top_k": 7, "temperature": 0.9},
    "B4 top_k then top_p": {"do_sample": True, "top_k": 20, "top_p": 0.8, "temperature": 1.4},
    "B5 whole vocabulary": {"do_sample": True, "top_k": 0, "temperature": 1.3},
    "H23 min_p": {"do_sample": True, "top_k": 0, "min_p": 0.2, "temperature": 1.2},
    "H23 repetition penalty": {"do_sample": True, "repetition_penalty": 1.7},
    "H23 ngrams": {"do_sample": False, "temperature": 1.0, "no_repeat_ngram_size": 2},
    "B3 min_eos_p": {"do_sample": True, "min_eos_p": 0.02, "temperature": 1.1},
    "H23 min_new_tokens": {"do_sample": True, "min_new_tokens": 9},
    "H23 min_length": {"do_sample": True, "min_length": SLOTS + 9},
    "H23 typical_p": {"do_sample": True, "typical_p": 0.6, "top_k": 0, "temperature": 1.3},
    "H23 epsilon_cutoff": {"do_sample": True, "epsilon_cutoff": 0.02, "top_k": 0},
    "H23 eta_cutoff": {"do_sample": True, "eta_cutoff": 0.05, "top_k": 0, "temperature": 1.2},
    "H23 top_h": {"do_sample": True, "top_h": 0.6, "top_k": 0, "temperature": 1.2},
    "H23 suppress": {
        "semantic_suppress_tokens": [3, 7],
        "semantic_begin_suppress_tokens": [1, 100],
        "coarse_suppress_tokens": [101, 140],
    },
    "H23 suppress another stage's": {"suppress_tokens": [3, 105, 160, 5000], "top_k": 90},
    "H23 bad words": {
        "semantic_bad_words_ids": [[5], [100], [6, 7]],
        "coarse_bad_words_ids": [[120], [101, 150], [160]],
    },
    "H23 sequence_bias": {
        "semantic_sequence_bias": {(9,): 3.0, (9, 9): -8.0},
        "coarse_sequence_bias": [[[120], 2.5], [[120, 140], 4.0]],
    },
    "H23 ending": {
        "semantic_exponential_decay_length_penalty": (4, 1.2),
        "semantic_forced_eos_token_id": 100,
        "coarse_forced_eos_token_id": 150,
    },
    "H23 allowed": {
        "semantic_prefix_allowed_tokens_fn": lambda row, ids: [row, 2, 5, *range(40, 101, 3)],
        "coarse_prefix_allowed_tokens_fn": lambda row, ids: [101 + row, *range(110, 164, 3)],
        "num_beams": 2,
    },
    "H23 remove_invalid_values": {"remove_invalid_values": True, "do_sample": True},
    "H23 beams": {"num_beams": 3, "do_sample": False, "temperature": 1.0},
    "H23 beams sampled": {"num_beams": 2, "do_sample": True, "temperature": 1.3, "top_k": 30},
    "H23 beams, filters": {
        "num_beams": 2,
        "do_sample": True,
        "top_k": 1,
        "min_p": 0.9,
        "top_p": 0.1,
    },
    "H23 beams, long": {
        "num_beams": 4,
        "length_penalty": 1.7,
        "early_stopping": "never",
        "do_sample": False,
    },
    "H23 beams, short": {
        "num_beams": 4,
        "length_penalty": -1.0,
        "early_stopping": True,
        "do_sample": False,
    },
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("n_voice", "rows"), [(None, 3), (40, 1)])
def test_B1_B2_B3_B4_B5_B6_B12_H23_tokens_equal(
    pair: Pair, name: str, n_voice: int | None, rows: int
) -> None:
    options = CASES[name]
    expected = stages(pair.theirs, options, voice(n_voice), rows, configs_of(pair.theirs))
    found = stages(pair.ours, options, voice(n_voice), rows, ours_of(pair.ours))
    assert found == expected


@pytest.mark.parametrize("options", [{"do_sample": True}, {"num_beams": 3, "do_sample": False}])
def test_H23_num_return_sequences(pair: Pair, options: dict[str, Any]) -> None:
    found = []
    for model, configs in ((pair.ours, ours_of(pair.ours)), (pair.theirs, configs_of(pair.theirs))):
        torch.manual_seed(4)
        tokens = model.semantic.generate(
            **inputs(2), semantic_generation_config=configs[0], num_return_sequences=2, **options
        )
        found.append(tokens.tolist())
    assert len(found[0]) == 4
    assert found[0] == found[1]


def test_B7_B8_leaked_ids_are_leaked_alike(pair: Pair) -> None:
    """The case above is only a proof if ids behind the codebooks do occur."""
    options = CASES["B5 whole vocabulary"]
    coarse = stages(pair.ours, options, None, 3, ours_of(pair.ours))[1]
    assert max(map(max, coarse)) >= TINY.coarse_offset + 2 * TINY.codebook_size


@pytest.mark.parametrize("n_voice", [None, 4])
def test_B20_H12_waveforms_and_lengths(pair: Pair, n_voice: int | None) -> None:
    for lengths in (None, True):
        outputs = []
        for model in pair[:2]:
            torch.manual_seed(3)
            outputs.append(
                model.generate(
                    **inputs(3), history_prompt=voice(n_voice), return_output_lengths=lengths
                )
            )
        ours, theirs = outputs
        if lengths:
            assert ours[1] == theirs[1]
            ours, theirs = ours[0], theirs[0]
        assert ours.shape == theirs.shape
        assert (ours - theirs).abs().max() < 1e-5


def test_H20_prefixes_win_and_the_rest_goes_to_all(pair: Pair) -> None:
    options = {"temperature": 0.8, "coarse_temperature": 1.5, "fine_temperature": 0.9, "top_k": 11}
    waves = []
    for model in pair[:2]:
        torch.manual_seed(3)
        waves.append(model.generate(**inputs(), do_sample=True, semantic_top_k=5, **options))
    assert waves[0].shape == waves[1].shape
    assert (waves[0] - waves[1]).abs().max() < 1e-5


def test_B14_H8_forward(pair: Pair) -> None:
    ids = torch.randint(0, 180, (2, 9), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[1, :4] = 0
    asked: list[dict[str, Any]] = [
        {},
        {"attention_mask": mask},
        {"position_ids": torch.arange(9)[None] + 3},
        {"output_attentions": True, "output_hidden_states": True},
    ]
    pair.theirs.coarse_acoustics.config._attn_implementation = "eager"
    with torch.no_grad():
        for options in asked:
            ours = pair.ours.coarse_acoustics(ids, **options)
            theirs = pair.theirs.coarse_acoustics(ids, **options)
            visible = mask.bool() if "attention_mask" in options else mask >= 0
            assert (ours.logits - theirs.logits)[visible].abs().max() < 1e-9
            for name in ("hidden_states", "attentions"):
                expected = theirs.get(name)
                assert (getattr(ours, name) is None) == (expected is None)
                for one, other in zip(getattr(ours, name) or (), expected or (), strict=True):
                    assert (one - other).abs().max() < 1e-9
        embedded = pair.ours.coarse_acoustics.input_embeds_layer(ids)
        whole = pair.ours.coarse_acoustics(inputs_embeds=embedded).logits
        first = pair.ours.coarse_acoustics(ids[:, :5])
        rest = pair.ours.coarse_acoustics(ids[:, 5:], past_key_values=first.past_key_values)
        assert (torch.cat([first.logits, rest.logits], dim=1) - whole).abs().max() < 1e-9
        as_tuple = pair.ours.coarse_acoustics(ids, return_dict=False, use_cache=False)
        assert len(as_tuple) == 1 and torch.equal(as_tuple[0], pair.ours.coarse_acoustics(ids)[0])


def test_H11_fine_forward(pair: Pair) -> None:
    codes = torch.randint(0, 33, (2, 32, 8), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for k in (1, 4, 7):
            ours, theirs = (model.fine_acoustics(k, codes).logits for model in pair[:2])
            assert (ours - theirs).abs().max() < 1e-9


def test_H23_streamer_sees_the_same(pair: Pair) -> None:
    class Recorder:
        def __init__(self) -> None:
            self.seen: list[Any] = []

        def put(self, value: torch.Tensor) -> None:
            self.seen.append(value.reshape(-1).tolist())

        def end(self) -> None:
            self.seen.append("end")

    recorders = [Recorder(), Recorder()]
    for model, recorder in zip(pair[:2], recorders, strict=True):
        torch.manual_seed(1)
        model.generate(**inputs(), semantic_streamer=recorder)
    assert recorders[0].seen == recorders[1].seen
    assert recorders[0].seen[0] == [1] * (SLOTS + 1)


def test_saved_by_ours_gives_the_same_tokens_there(pair: Pair, tmp_path: Path) -> None:
    """Folder of theirs -> ours -> save_pretrained -> theirs: no key is lost, greedy audio is the same."""
    theirs = tmp_path / "theirs"
    TheirModel.from_pretrained(pair.folder).save_pretrained(theirs)
    ours = BarkModel.from_pretrained(theirs)
    ours.generation_config.semantic_config["temperature"] = 0.9
    ours.save_pretrained(tmp_path / "ours")
    again, report = TheirModel.from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    assert again.generation_config.semantic_config["temperature"] == 0.9
    greedy = {"do_sample": False, "temperature": 1.0}
    first = ours.generate(**inputs(), **greedy)
    second = again.eval().generate(**inputs(), **greedy)
    assert first.shape == second.shape
    assert np.abs(first.numpy() - second.numpy()).max() < 1e-4

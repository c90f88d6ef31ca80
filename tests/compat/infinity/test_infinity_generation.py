"""How Bark Infinity's options change what is spoken: seeds, histories, sampling; and its two functions."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from infinity_runs import SHORT, SPLIT, TEXT, tokens, voice

from openbark.api import Bark
from openbark.compat import infinity as inf
from openbark.compat.infinity.generation import plan_segments, spoken
from openbark.compat.infinity.loading import loaded_bark
from openbark.compat.infinity.options import resolve
from openbark.compat.infinity.segments import generation_params, mixed_voice
from openbark.errors import ParamError, TextError
from openbark.params import SUNO_PARAMS, GenerationParams, SamplingParams


def n_semantic(bark: Bark) -> int:
    return len(spoken(bark, "hello.", SHORT | {"history_prompt": "en_0"})[0].voice.semantic)


def test_option_confused_travolta_mode_and_semantic_allow_early_stop_go_on_to_the_limit(
    bark: Bark,
) -> None:
    limit = bark.config.semantic_rules.max_new_tokens
    options = {"confused_travolta_mode": True, "seed": 3, "semantic_temp": 1.0}
    assert len(spoken(bark, "go on", options)[0].voice.semantic) == limit
    stopped = {"semantic_min_eos_p": 1e-9, "semantic_allow_early_stop": False, "seed": 3}
    assert len(spoken(bark, "go on", stopped)[0].voice.semantic) == limit


def test_option_semantic_min_eos_p_stops_sooner_when_it_is_lower(bark: Bark) -> None:
    never = spoken(bark, "go on", {"semantic_min_eos_p": 1.0, "seed": 3})[0]
    soon = spoken(bark, "go on", {"semantic_min_eos_p": 0.004, "seed": 3})[0]
    assert len(soon.voice.semantic) < len(never.voice.semantic)
    assert soon.stop_reason == "min_eos_p"


def test_option_semantic_max_gen_duration_s_is_the_longest_segment(bark: Bark) -> None:
    lengths = [
        len(spoken(bark, "go on", {"seed": 5, "semantic_max_gen_duration_s": s})[0].voice.semantic)
        for s in (0.1, 0.3)
    ]
    assert lengths[0] < lengths[1]


def test_option_seed_and_single_starting_seed(bark: Bark) -> None:
    same = "hello. hello."
    first, second = tokens(bark, same, history_prompt="en_0", seed=5)
    assert first == second  # the same seed before every segment
    assert tokens(bark, same, history_prompt="en_0", seed=5) == [first, second]
    one, two = tokens(bark, same, history_prompt="en_0", seed=None, single_starting_seed=5)
    assert one == first and two != first
    with pytest.raises(ParamError, match="one of them"):
        tokens(bark, same, seed=5, single_starting_seed=5)


def test_option_semantic_seed_and_coarse_seed_and_fine_seed(bark: Bark) -> None:
    count = n_semantic(bark)
    plain = tokens(bark, "hello.", history_prompt="en_0")[0]
    other_fine = tokens(bark, "hello.", history_prompt="en_0", fine_seed=6)[0]
    assert other_fine[:count] == plain[:count] and other_fine != plain
    other_coarse = tokens(bark, "hello.", history_prompt="en_0", coarse_seed=7)[0]
    assert other_coarse[:count] == plain[:count] and other_coarse != plain
    other = tokens(bark, "hello.", history_prompt="en_0", semantic_seed=6)[0]
    assert other[:count] != plain[:count]


def test_option_stable_mode_interval_says_when_the_base_voice_returns(bark: Bark) -> None:
    text = "aa bb cc. aa bb cc. aa bb cc. aa bb cc."
    always = tokens(bark, text, history_prompt="en_0", stable_mode_interval=1)
    assert all(segment == always[0] for segment in always)
    chained = tokens(bark, text, history_prompt="en_0", stable_mode_interval=0)
    assert chained[0] == always[0] and chained[1] != always[0]
    every_second = tokens(bark, text, history_prompt="en_0", stable_mode_interval=2)
    assert every_second[:2] == chained[:2]
    assert every_second[2:] == every_second[:2]
    separate = tokens(bark, text, separate_prompts=True, stable_mode_interval=0)
    assert separate[1] == separate[0]


def test_option_stable_mode_interval_without_a_voice_returns_to_the_first_segment(
    bark: Bark,
) -> None:
    text = "aa bb cc. aa bb cc. aa bb cc."
    first, second, third = tokens(bark, text, stable_mode_interval=1)
    assert first != second == third


@pytest.mark.parametrize(
    "option",
    [
        "semantic_history_starting_weight",
        "semantic_prev_segment_weight",
        "coarse_history_starting_weight",
        "coarse_prev_segment_weight",
        "fine_history_starting_weight",
        "fine_prev_segment_weight",
    ],
)
def test_history_weights_reach_their_stage(bark: Bark, option: str) -> None:
    """One weight of a stage alone is the whole share: of the base voice, or of the segment before."""
    plain = tokens(bark, history_prompt="en_0", stable_mode_interval=0)
    weighted = tokens(bark, history_prompt="en_0", stable_mode_interval=0, **{option: 1.0})
    assert weighted[0] == plain[0]
    assert (weighted[1] == plain[1]) == option.endswith("prev_segment_weight")


def test_history_weights_are_shares_of_time(bark: Bark) -> None:
    base, previous = voice(0), voice(40)
    mixed = mixed_voice(base, previous, (1.0, 1.0), bark.config)
    assert mixed is not None
    room = bark.config.max_semantic_history
    first, second = round(room / 2), room - round(room / 2)
    assert mixed.semantic.tolist() == [
        *base.semantic[-first:].tolist(),
        *previous.semantic[-second:].tolist(),
    ]
    n_frames = sum(int(count * bark.config.frames_per_semantic) for count in (first, second))
    assert mixed.coarse.shape[1] == mixed.fine.shape[1] == n_frames
    assert mixed_voice(base, previous, (0.0, 0.0), bark.config) is None


def test_option_semantic_history_oversize_limit_and_absolute_history(bark: Bark) -> None:
    plain = tokens(bark, history_prompt="en_0")
    assert tokens(bark, history_prompt="en_0", semantic_history_oversize_limit=3) != plain
    assert tokens(bark, history_prompt="en_0", absolute_semantic_history_only=True) != plain


def test_option_coarse_max_coarse_history_and_coarse_sliding_window_len(bark: Bark) -> None:
    rules = bark.config.coarse_rules
    own = {
        "coarse_max_coarse_history": rules.max_history,
        "coarse_sliding_window_len": rules.sliding_window,
    }
    plain = tokens(bark, history_prompt="en_0")
    assert tokens(bark, history_prompt="en_0", **own) == plain
    sunos = {"coarse_max_coarse_history": 630, "coarse_sliding_window_len": 60}
    assert tokens(bark, history_prompt="en_0", **sunos) == plain
    small = {"coarse_max_coarse_history": 12, "coarse_sliding_window_len": 4}
    assert tokens(bark, history_prompt="en_0", **small) != plain
    for wrong in ({"coarse_max_coarse_history": 9000}, {"coarse_sliding_window_len": 0}):
        with pytest.raises(ParamError):
            tokens(bark, **wrong)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("semantic_temp", 0.0),
        ("semantic_top_k", 1),
        ("semantic_top_p", 0.01),
        ("coarse_temp", 0.0),
        ("coarse_top_k", 1),
        ("coarse_top_p", 0.01),
        ("fine_temp", 0.0),
        ("text_temp", 0.0),
        ("waveform_temp", 0.0),
    ],
)
def test_sampling_reaches_its_stage(bark: Bark, option: str, value: float) -> None:
    plain = tokens(bark, "hello.", history_prompt="en_0")[0]
    changed = tokens(bark, "hello.", history_prompt="en_0", **{option: value})[0]
    assert changed != plain
    if not option.startswith(("semantic", "text")):
        count = n_semantic(bark)
        assert changed[:count] == plain[:count]


def test_B1_what_is_not_given_is_the_checkpoint_s_own() -> None:
    """Infinity's own numbers are Suno's; another checkpoint was made for others."""
    cool = SamplingParams(temperature=0.2, min_eos_p=None)
    own = GenerationParams(semantic=cool, coarse=cool, fine=cool)
    for given in ({}, inf.load_all_defaults()):
        made = generation_params(resolve(given), own)
        assert (made.semantic, made.coarse, made.fine) == (cool, cool, cool)
    asked = {"text_temp": 0.7, "coarse_temp": 0.7, "fine_temp": 0.5, "semantic_min_eos_p": 0.2}
    made = generation_params(resolve(asked), own)
    assert made.semantic == SamplingParams(temperature=0.7, min_eos_p=0.2)
    assert [stage.temperature for stage in (made.coarse, made.fine) if stage] == [0.7, 0.5]
    assert generation_params(resolve({}), SUNO_PARAMS).semantic == made.semantic


def test_B17_a_segment_too_long_for_the_model_becomes_several(bark: Bark) -> None:
    slots = bark.config.semantic_rules.max_text_tokens
    text = "aa bb cc, dd ee ff gg hh."
    assert len(bark.tokenizer.encode(text)) > slots
    spoken_texts = [segment.text for segment in spoken(bark, text, SHORT)]
    assert " ".join(spoken_texts) == text
    assert len(spoken_texts) > 1


def test_sampling_out_of_range_names_the_stage(bark: Bark) -> None:
    with pytest.raises(ParamError, match="coarse top_k"):
        tokens(bark, coarse_top_k=0)


def test_I2_generate_audio_long(bark: Bark, tmp_path: Path) -> None:
    generations, waveforms, name, clones = inf.generate_audio_long(
        TEXT, bark, output_dir=str(tmp_path), **SHORT, **SPLIT
    )
    assert len(generations) == len(waveforms) == 2
    assert set(generations[0]) == {"semantic_prompt", "coarse_prompt", "fine_prompt"}
    assert Path(name).parent == tmp_path and Path(name).is_file() and clones == []


def test_I1_I2_without_a_model_of_its_own_it_takes_the_loaded_one(tmp_path: Path) -> None:
    inf.preload_models()
    held = loaded_bark(resolve({}))
    arrays, _, name, _ = inf.generate_audio_long("hi", output_dir=str(tmp_path), **SHORT)
    assert loaded_bark(resolve({})) is held
    assert Path(name).is_file()
    inf.save_as_prompt(str(tmp_path / "again.npz"), arrays[0])
    everything: dict[str, Any] = inf.load_all_defaults(output_dir=str(tmp_path), **SHORT)
    again, _, _, _ = inf.generate_audio_long(**everything | {"text_prompt": "hi"})
    assert np.array_equal(again[0]["fine_prompt"], arrays[0]["fine_prompt"])


def test_I2_a_voice_in_any_form(bark: Bark, tmp_path: Path) -> None:
    options = SHORT | {"output_dir": str(tmp_path)}
    by_name, _, _, _ = inf.generate_audio_long("hi", bark, history_prompt="en_0", **options)
    arrays = {
        "semantic_prompt": voice().semantic,
        "coarse_prompt": voice().coarse,
        "fine_prompt": voice().fine,
    }
    for form in (voice(), arrays):
        made, _, _, _ = inf.generate_audio_long("hi", bark, history_prompt=form, **options)
        assert np.array_equal(made[0]["fine_prompt"], by_name[0]["fine_prompt"])


def test_I3_generate_audio_barki(bark: Bark) -> None:
    arrays, waveform = inf.generate_audio_barki("hello", bark, history_prompt="en_0", **SHORT)
    again, _ = inf.generate_audio_barki("hello", bark, history_prompt=voice(), **SHORT)
    assert waveform.dtype == np.float32
    assert np.array_equal(arrays["fine_prompt"], again["fine_prompt"])


def test_I4_set_seed_changes_nothing_outside() -> None:
    before = random.getstate(), np.random.get_state()[1].tolist()
    assert inf.set_seed(7).of_segment(3) == 7
    assert inf.set_seed(0) != inf.set_seed(-1)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before
    with pytest.raises(ParamError):
        inf.set_seed(-2)


def test_I10_B13_temperature_zero_is_greedy_in_every_stage(bark: Bark) -> None:
    """There 0 became 0.001 for two stages, and the third crashed."""
    greedy = dict.fromkeys(("semantic_temp", "coarse_temp", "fine_temp"), 0.0)
    assert tokens(bark, "hello.", **greedy, seed=1) == tokens(bark, "hello.", **greedy, seed=2)


def test_I10_nothing_to_say_is_an_error() -> None:
    with pytest.raises(TextError):
        plan_segments(" ", {})
    assert resolve({"semantic_temp": 0})["semantic_temp"] == 0

"""The 66 documented options of Bark Infinity and the later ones: names, choices, defaults, what is refused."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from infinity_runs import DOCUMENTED, line

from openbark.compat import infinity as inf
from openbark.compat.infinity.options import SPLIT_CHOICES, option, resolve
from openbark.errors import ParamError

README = Path(__file__).parents[4] / "shared" / "upstream" / "bark-infinity.md"

REFUSED: dict[str, Any] = {
    "extra_confused_travolta_mode": 2,
    "semantic_history_future_weight": 0.5,
    "coarse_history_future_weight": 0.5,
    "fine_history_future_weight": 0.5,
    "custom_audio_processing_function": "f",
    "semantic_use_kv_caching": False,
    "coarse_kv_caching": False,
    "coarse_history_time_alignment_hack": -4,
}
REFUSED_LATER: dict[str, Any] = {
    "audio_file_as_history_prompt": "me.wav",
    "SUNO_USE_DIRECTML": True,
    "OFFLOAD_CPU": True,
    "GLOBAL_ENABLE_MPS": True,
    "bark_speaker_as_the_prompt": "x",
    "output_format_ffmpeg_parameters": "x",
    "detailed_gpu_report": True,
}
DEFAULTS = {
    "list_speakers": False,
    "dry_run": False,
    "always_save_speaker": True,
    "output_iterations": 1,
    "output_dir": "bark_samples",
    "hoarder_mode": False,
    "extra_stats": False,
    "text_use_gpu": True,
    "coarse_use_gpu": True,
    "fine_use_gpu": True,
    "codec_use_gpu": True,
    "text_use_small": False,
    "coarse_use_small": False,
    "fine_use_small": False,
    "force_reload": False,
    "text_temp": 0.7,
    "waveform_temp": 0.7,
    "silent": False,
    "seed": None,
    "stable_mode_interval": 1,
    "split_character_goal_length": 110,
    "split_character_max_length": 170,
    "add_silence_between_segments": 0.25,
    "use_smaller_models": False,
    "semantic_temp": 0.7,
    "semantic_min_eos_p": 0.2,
    "semantic_allow_early_stop": True,
    "semantic_use_kv_caching": True,
    "coarse_temp": 0.7,
    "coarse_max_coarse_history": 630,
    "coarse_sliding_window_len": 60,
    "coarse_kv_caching": True,
    "coarse_history_time_alignment_hack": -2,
    "fine_temp": 0.5,
    "loglevel": "WARNING",
}


def test_the_66_options_are_there() -> None:
    assert [item.name for item in inf.OPTIONS if item.documented] == DOCUMENTED
    assert len(DOCUMENTED) == 66


@pytest.mark.skipif(not README.is_file(), reason="the upstream page is not here")
def test_the_documented_usage_text() -> None:
    """Names and choices as upstream's README prints them."""
    text = README.read_text(encoding="utf-8")
    usage = text[text.index("Usage: bark_perform.py") :].partition("```")[0]
    found = dict(re.findall(r"\[--(\w+) (\{[\w,]+\}|[A-Z_\n ]+)\]", usage))
    assert list(found) == DOCUMENTED
    for name, shown in found.items():
        choices = shown.strip("{}").split(",") if shown.startswith("{") else []
        assert list(option(name).choices) == choices, name


@pytest.mark.parametrize("name", DOCUMENTED)
def test_every_option_is_on_the_command_line(name: str) -> None:
    assert f"--{name} " in line("--help").output


@pytest.mark.parametrize("name", DEFAULTS)
def test_defaults(name: str) -> None:
    assert resolve({})[name] == DEFAULTS[name]


@pytest.mark.parametrize("option", REFUSED)
def test_refused_with_the_reason(option: str) -> None:
    with pytest.raises(ParamError, match=f"{option} is refused: ..."):
        resolve({option: REFUSED[option]})
    assert line("--text_prompt", "a", "--dry_run", "true", f"--{option}", REFUSED[option]).exit_code


@pytest.mark.parametrize("name", REFUSED_LATER)
def test_later_ones_are_refused_with_the_reason(name: str) -> None:
    with pytest.raises(ParamError, match=f"{name} is refused: ..."):
        resolve({name: REFUSED_LATER[name]})


@pytest.mark.parametrize("option", REFUSED)
def test_the_default_of_a_refused_option_is_taken(option: str) -> None:
    default = resolve({})[option]
    assert resolve({option: default})[option] == default


def test_unknown_options_and_choices() -> None:
    for given in ({"no_such": 1}, {"split_each_text_prompt_by": "phrase"}, {"dry_run": "False"}):
        with pytest.raises(ParamError, match="allowed"):
            resolve(given)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("output_iterations", 0),
        ("stable_mode_interval", -1),
        ("add_silence_between_segments", -0.5),
        ("semantic_history_oversize_limit", 0),
        ("fine_prev_segment_weight", -1.0),
        ("split_character_goal_length", 200),
    ],
)
def test_numbers_out_of_range(name: str, value: float) -> None:
    with pytest.raises(ParamError, match=name):
        resolve({name: value})


def test_option_text_temp_and_waveform_temp_live() -> None:
    """Dead upstream: semantic_temp and coarse_temp always won, given or not."""
    values = resolve({"text_temp": 0.2, "waveform_temp": 0.3})
    assert (values["semantic_temp"], values["coarse_temp"]) == (0.2, 0.3)
    assert resolve({"text_temp": 0.2, "semantic_temp": 0.9})["semantic_temp"] == 0.9
    everything = inf.load_all_defaults(text_temp=0.2)
    assert resolve(everything)["semantic_temp"] == 0.2


def test_option_split_each_text_prompt_by_and_split_input_into_separate_prompts_by_choices() -> (
    None
):
    for name in ("split_each_text_prompt_by", "split_input_into_separate_prompts_by"):
        assert option(name).choices == SPLIT_CHOICES


def test_I1_defaults_by_group() -> None:
    groups = [
        "input",
        "output",
        "model",
        "bark_model_parameters",
        "generating_long_clips",
        "convenience",
        "advanced",
        "later",
    ]
    made = [inf.get_default_values(group) for group in groups]
    assert {name: value for part in made for name, value in part.items()} == resolve({})
    assert inf.get_default_values("convenience") == {"use_smaller_models": False}
    assert inf.get_default_values("nobody") == {}
    assert inf.load_all_defaults(seed=4)["seed"] == 4
    assert inf.load_all_defaults() == resolve({})


def test_I1_names() -> None:
    import openbark.compat.suno as suno

    for name in inf.__all__:
        assert getattr(inf, name) is not None
    for name in ("generate_audio", "text_to_semantic", "save_as_prompt", "SAMPLE_RATE"):
        assert getattr(inf, name) is getattr(suno, name)
    signatures = [inspect.signature(module.preload_models) for module in (inf, suno)]
    assert signatures[0] == signatures[1]
    assert set(inf.__all__) <= set(dir(inf))
    with pytest.raises(AttributeError, match="no attribute 'chunk'"):
        inf.chunk  # noqa: B018


def test_I1_console_and_logger(capsys: pytest.CaptureFixture[str]) -> None:
    inf.console.print("a", 1)
    assert capsys.readouterr().out == "a 1\n"
    assert inf.logger.name == "openbark"

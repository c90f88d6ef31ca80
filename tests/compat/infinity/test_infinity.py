"""Bark Infinity's options and names, on the tiny Bark. Tests are named after the options or the parity IDs."""

from __future__ import annotations

import random
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result

from openbark.api import Bark
from openbark.cli.main import cli
from openbark.compat import infinity as inf
from openbark.compat.infinity.generation import file_stem, plan_segments, spoken
from openbark.compat.infinity.options import resolve
from openbark.compat.infinity.segments import mixed_voice
from openbark.compat.infinity.text_processing import (
    current_date_time_in_words,
    split_general_purpose,
    split_text,
)
from openbark.errors import ParamError, TextError, VoiceError
from openbark.voices.voice import Voice

# Every option of the usage text in upstream's README, in its order.
DOCUMENTED = """
text_prompt list_speakers dry_run history_prompt prompt_file split_input_into_separate_prompts_by
split_input_into_separate_prompts_by_value always_save_speaker output_iterations output_filename output_dir
hoarder_mode extra_stats text_use_gpu text_use_small coarse_use_gpu coarse_use_small fine_use_gpu fine_use_small
codec_use_gpu force_reload text_temp waveform_temp confused_travolta_mode silent seed stable_mode_interval
single_starting_seed split_character_goal_length split_character_max_length add_silence_between_segments
split_each_text_prompt_by split_each_text_prompt_by_value extra_confused_travolta_mode
semantic_history_starting_weight semantic_history_future_weight semantic_prev_segment_weight
coarse_history_starting_weight coarse_history_future_weight coarse_prev_segment_weight
fine_history_starting_weight fine_history_future_weight fine_prev_segment_weight custom_audio_processing_function
use_smaller_models semantic_temp semantic_top_k semantic_top_p semantic_min_eos_p semantic_max_gen_duration_s
semantic_allow_early_stop semantic_use_kv_caching semantic_seed semantic_history_oversize_limit coarse_temp
coarse_top_k coarse_top_p coarse_max_coarse_history coarse_sliding_window_len coarse_kv_caching coarse_seed
coarse_history_time_alignment_hack fine_temp fine_seed render_npz_samples loglevel
""".split()

REFUSED: dict[str, Any] = {
    "extra_confused_travolta_mode": 2,
    "semantic_history_future_weight": 0.5,
    "coarse_history_future_weight": 0.5,
    "fine_history_future_weight": 0.5,
    "custom_audio_processing_function": "f",
    "semantic_use_kv_caching": False,
    "coarse_kv_caching": False,
    "coarse_history_time_alignment_hack": -4,
    "audio_file_as_history_prompt": "me.wav",
    "SUNO_USE_DIRECTML": True,
    "detailed_gpu_report": True,
}
DEFAULTS = {
    "always_save_speaker": True,
    "output_iterations": 1,
    "output_dir": "bark_samples",
    "text_temp": 0.7,
    "waveform_temp": 0.7,
    "stable_mode_interval": 1,
    "split_character_goal_length": 110,
    "split_character_max_length": 170,
    "add_silence_between_segments": 0.25,
    "semantic_temp": 0.7,
    "semantic_min_eos_p": 0.2,
    "semantic_allow_early_stop": True,
    "coarse_temp": 0.7,
    "fine_temp": 0.5,
    "loglevel": "WARNING",
}
SHORT: dict[str, Any] = {"semantic_max_gen_duration_s": 0.1, "seed": 5}
TEXT = "one two. three four."
SPLIT: dict[str, Any] = {"split_character_goal_length": 8, "split_character_max_length": 12}


def voice(seed: int = 0) -> Voice:
    codes = np.random.default_rng(seed).integers(0, 32, (8, 30))
    return Voice(np.arange(seed, seed + 20), codes[:2], codes)


@pytest.fixture(scope="module")
def folder(tiny_checkpoint_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    copy = tmp_path_factory.mktemp("infinity") / "tiny"
    shutil.copytree(tiny_checkpoint_dir, copy)
    (copy / "voices").mkdir()
    voice().save(copy / "voices" / "en_0.npz")
    return copy


@pytest.fixture(scope="module")
def bark(folder: Path) -> Bark:
    return Bark.load(folder, threads=1)


def line(*words: object) -> Result:
    return CliRunner().invoke(cli, ["infinity", *map(str, words)], prog_name="openbark")


def flags(options: dict[str, Any]) -> list[str]:
    return [word for name, value in options.items() for word in (f"--{name}", str(value))]


def tokens(bark: Bark, text: str = TEXT, **options: Any) -> list[list[int]]:
    segments = spoken(bark, text, SHORT | SPLIT | options)
    return [
        segment.voice.semantic.tolist() + segment.voice.fine.ravel().tolist()
        for segment in segments
    ]


def test_the_66_options_are_there() -> None:
    assert sorted(item.name for item in inf.OPTIONS if item.documented) == sorted(DOCUMENTED)
    assert len(DOCUMENTED) == 66


@pytest.mark.parametrize("name", DOCUMENTED)
def test_option_is_on_the_command_line(name: str) -> None:
    assert f"--{name} " in line("--help").output


@pytest.mark.parametrize("name", DEFAULTS)
def test_default_of_option(name: str) -> None:
    assert resolve({})[name] == DEFAULTS[name]


@pytest.mark.parametrize("name", REFUSED)
def test_refused_option_says_why(name: str) -> None:
    with pytest.raises(ParamError, match=f"{name} is refused: ..."):
        resolve({name: REFUSED[name]})


def test_unknown_option_and_choice() -> None:
    for given in ({"no_such": 1}, {"split_each_text_prompt_by": "phrase"}, {"dry_run": "False"}):
        with pytest.raises(ParamError, match="legal"):
            resolve(given)


def test_dry_run_and_booleans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Needs no model; and False is false, where upstream took any word for true."""
    monkeypatch.chdir(tmp_path)
    shown = line("--text_prompt", TEXT, "--dry_run", "True", *flags(SPLIT))
    assert shown.exit_code == 0
    assert shown.stdout.splitlines() == [
        "prompt 1: 2 segments, voice none",
        "  1. one two.",
        "  2. three four.",
    ]
    assert list(tmp_path.iterdir()) == []
    assert line("--text_prompt", "a", "--dry_run", "perhaps").exit_code == 2
    false = line("--text_prompt", "a", "--dry_run", "False", "--model", "/no/model")
    assert false.exit_code != 0 and "no checkpoint folder" in false.stderr


def test_prompt_file_split_input_into_separate_prompts_by(tmp_path: Path) -> None:
    file = tmp_path / "p.txt"
    file.write_text("one\none\ntwo")
    by_line = ["--split_input_into_separate_prompts_by", "line"]
    shown = line("--prompt_file", file, "--dry_run", "true", *by_line)
    assert shown.stdout.count("prompt ") == 3
    assert line("--dry_run", "true").exit_code == 2
    assert line("--dry_run", "true", "--text_prompt", "a", *by_line).exit_code == 2


def test_output_dir_filename_iterations_saved_speaker_and_hoarder_mode(
    folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = line(
        "--text_prompt", TEXT, "--model", folder, "--history_prompt", "en_0", "--output_dir", out,
        "--output_iterations", 2, "--hoarder_mode", True, "--extra_stats", True,
        "--show_generation_times", True, *flags(SHORT | SPLIT),
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    clips = [Path(text) for text in done.stdout.split()]
    assert [clip.parent for clip in clips] == [out, out]
    assert clips[0].name.startswith("one_two_three_four-") and "SPK-en_0" in clips[0].name
    assert "stopped by max_seconds, seed 5: one two." in done.stderr
    names = sorted(path.name for path in out.iterdir())
    # One clip, one voice, and both again for each of two segments; twice.
    assert len(names) == 12
    saved = Voice.load(f"{clips[0]}.npz")
    first = Voice.load(next(out.glob(f"{clips[0].stem}_segment_1.wav.npz")))
    assert np.array_equal(saved.fine, first.fine)
    samples, rate = soundfile.read(clips[0])
    pieces = [
        soundfile.read(path)[0] for path in sorted(out.glob(f"{clips[0].stem}_segment_?.wav"))
    ]
    assert rate == 24_000
    assert len(samples) == sum(map(len, pieces)) + 2 * round(0.25 * rate)
    named = line(
        "--text_prompt", "hi", "--model", folder, "--output_dir", out, "--output_filename", "x.flac",
        "--output_format", "flac", "--always_save_speaker", False, *flags(SHORT),
    )  # fmt: skip
    assert Path(named.stdout.strip()) == out / "x.flac"
    assert not (out / "x.flac.npz").exists()


def test_history_prompt_unknown_is_an_error(folder: Path, tmp_path: Path) -> None:
    done = line(
        "--text_prompt", "a", "--model", folder, "--history_prompt", "nobody", "--output_dir", tmp_path
    )  # fmt: skip
    assert done.exit_code == 2 and "unknown voice 'nobody'" in done.stderr


def test_list_speakers(folder: Path, bark: Bark) -> None:
    assert "en_0" in line("--list_speakers", "True", "--model", folder).stdout.split()
    assert "en_0" in inf.list_speakers(bark)


def test_render_npz_samples(folder: Path, bark: Bark, tmp_path: Path) -> None:
    voices = folder / "voices"
    done = line("--render_npz_samples", voices, "--model", folder, "--output_dir", tmp_path)
    assert done.exit_code == 0, done.output
    assert done.stdout.split() == [str(tmp_path / "en_0.wav")]
    samples, _ = soundfile.read(tmp_path / "en_0.wav", dtype="float32")
    assert len(samples) == 30 * 320
    with pytest.raises(VoiceError, match="no folder"):
        inf.render_npz_samples(tmp_path / "gone", bark)


def test_use_gpu_and_use_small_must_agree(folder: Path) -> None:
    for words in (
        ["--text_use_gpu", "True", "--fine_use_gpu", "False"],
        ["--text_use_small", "True"],
        ["--use_smaller_models", "True", "--model", "x"],
        ["--codec_use_gpu", "False", "--device", "cuda"],
    ):
        done = line("--text_prompt", "a", "--dry_run", "True", *words)
        assert done.exit_code == 2, words


def test_text_temp_and_waveform_temp_live() -> None:
    """Dead upstream: semantic_temp and coarse_temp always won."""
    values = resolve({"text_temp": 0.2, "waveform_temp": 0.3})
    assert (values["semantic_temp"], values["coarse_temp"]) == (0.2, 0.3)
    assert resolve({"text_temp": 0.2, "semantic_temp": 0.9})["semantic_temp"] == 0.9


def test_confused_travolta_mode_goes_on_to_the_limit(bark: Bark) -> None:
    limit = bark.config.semantic_rules.max_new_tokens
    options = {"confused_travolta_mode": True, "seed": 3, "semantic_temp": 1.0}
    assert len(spoken(bark, "go on", options)[0].voice.semantic) == limit
    stopped = {"semantic_min_eos_p": 1e-9, "semantic_allow_early_stop": False, "seed": 3}
    assert len(spoken(bark, "go on", stopped)[0].voice.semantic) == limit


def test_seed_single_starting_seed_and_stage_seeds(bark: Bark) -> None:
    same = "hello. hello."
    first, second = tokens(bark, same, history_prompt="en_0", seed=5)
    assert first == second  # the same seed before every segment
    assert tokens(bark, same, history_prompt="en_0", seed=5) == [first, second]
    one, two = tokens(bark, same, history_prompt="en_0", seed=None, single_starting_seed=5)
    assert one == first and two != first
    other = tokens(bark, same, history_prompt="en_0", fine_seed=6)[0]
    n_semantic = len(spoken(bark, "hello.", SHORT | {"history_prompt": "en_0"})[0].voice.semantic)
    assert other[:n_semantic] == first[:n_semantic] and other != first
    changed = tokens(bark, same, history_prompt="en_0", semantic_seed=6, coarse_seed=7)[0]
    assert changed[:n_semantic] != first[:n_semantic]


def test_stable_mode_interval(bark: Bark) -> None:
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


def test_history_weights(bark: Bark) -> None:
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
    options = {"history_prompt": "en_0", "stable_mode_interval": 0}
    weights = {"semantic_history_starting_weight": 1.0, "semantic_prev_segment_weight": 1.0}
    assert tokens(bark, **options, **weights)[1] != tokens(bark, **options)[1]
    with pytest.raises(ParamError, match="legal: from 0"):
        resolve({"fine_prev_segment_weight": -1.0})


def test_semantic_history_oversize_limit_and_absolute_history(bark: Bark) -> None:
    plain = tokens(bark, history_prompt="en_0")
    assert tokens(bark, history_prompt="en_0", semantic_history_oversize_limit=3) != plain
    assert tokens(bark, history_prompt="en_0", absolute_semantic_history_only=True) != plain


def test_coarse_windows(bark: Bark) -> None:
    rules = bark.config.coarse_rules
    given = {
        "coarse_max_coarse_history": rules.max_history,
        "coarse_sliding_window_len": rules.sliding_window,
    }
    plain = tokens(bark, history_prompt="en_0")
    assert tokens(bark, history_prompt="en_0", **given) == plain
    small = {"coarse_max_coarse_history": 12, "coarse_sliding_window_len": 4}
    assert tokens(bark, history_prompt="en_0", **small) != plain
    for wrong in ({"coarse_max_coarse_history": 9000}, {"coarse_sliding_window_len": 0}):
        with pytest.raises(ParamError):
            tokens(bark, **wrong)


def test_sampling_options_reach_their_stage(bark: Bark) -> None:
    plain = tokens(bark)
    for options in (
        {"semantic_temp": 0.0},
        {"semantic_top_k": 1},
        {"coarse_top_p": 0.01},
        {"fine_temp": 0.0},
    ):
        assert tokens(bark, **options) != plain, options
    with pytest.raises(ParamError, match="coarse top_k"):
        tokens(bark, coarse_top_k=0)


def test_I2_generate_audio_long(bark: Bark, tmp_path: Path) -> None:
    generations, waveforms, name, clones = inf.generate_audio_long(
        TEXT, bark, output_dir=str(tmp_path), **SHORT, **SPLIT
    )
    assert len(generations) == len(waveforms) == 2
    assert set(generations[0]) == {"semantic_prompt", "coarse_prompt", "fine_prompt"}
    assert Path(name).parent == tmp_path and Path(name).is_file() and clones == []


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


def test_I6_history_prompt_reports(bark: Bark, tmp_path: Path) -> None:
    good = inf.history_prompt_detailed_report(voice(), bark.config)
    assert good["valid"] and good["fine_shape"] == [8, 30]
    assert inf.history_prompt_is_valid(voice(), bark.config)
    bad = inf.history_prompt_detailed_report({"semantic_prompt": [1]}, bark.config)
    assert not bad["valid"] and "coarse_prompt" in bad["problem"]
    assert not inf.history_prompt_is_valid(tmp_path / "gone.npz")
    assert not inf.history_prompt_is_valid(None)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (None, None, ["One two, and three. Four!\nFive"]),
        ("word", 3, ["One two, and", "three. Four! Five"]),
        ("line", None, ["One two, and three. Four!", "Five"]),
        ("sentence", 2, ["One two, and three. Four!", "Five"]),
        ("string", "and", ["One two,", "three. Four!\nFive"]),
        ("regex", r"[.!]", ["One two, and three", "Four", "Five"]),
        ("pos", None, ["One two,", "and three. Four! Five"]),
        ("char", 13, ["One two, and", "three. Four!", "Five"]),
    ],
)
def test_I8_split_text(kind: str | None, value: Any, expected: list[str]) -> None:
    assert split_text("One two, and three. Four!\nFive", kind, value) == expected


def test_I8_other_splits() -> None:
    words = "a b c d e f g h i j".split()
    parts = split_text(" ".join(words), "random", 3, seed=1)
    assert " ".join(parts).split() == words and len(parts) > 3
    assert parts == split_text(" ".join(words), "random", 3, seed=1)
    for kind, value in (("rhyme", None), ("regex", "("), ("word", "x"), ("pos", "verb")):
        with pytest.raises(ParamError):
            split_text("a b", kind, value)
    assert split_text("今日は。元気？", "sentence") == ["今日は。", "元気？"]
    assert (
        current_date_time_in_words(datetime(2026, 1, 2, 15, 4))
        == "Friday, January 2, 2026, 3:04 PM"
    )


def test_I8_split_character_goal_and_max_length() -> None:
    text = (
        "A short one. " * 5
        + "Then, a long sentence with many words, that has to be cut somewhere here."
    )
    parts = split_general_purpose(text, 30, 40)
    assert " ".join(parts).split() == text.split()
    assert all(len(part) <= 40 for part in parts) and len(parts) < 8
    assert split_general_purpose("x" * 50, 10, 20) == ["x" * 50]


def test_process_text_by_each() -> None:
    options = {"process_text_by_each": "sentence", "group_text_by_counting": "word"}
    parts = plan_segments("a b. c d. e f.", options | {"in_groups_of_size": 4})
    assert parts == ["a b. c d.", "e f."]
    with pytest.raises(ParamError, match="all three or none"):
        plan_segments("a", options)
    affixes = {"prompt_text_prefix": "♪", "prompt_text_suffix": "♪"}
    assert plan_segments("la la", affixes) == ["♪ la la ♪"]
    with pytest.raises(TextError):
        plan_segments(" ", {})


def test_output_name() -> None:
    moment = datetime(2026, 1, 2, 3, 4)
    assert (
        file_stem("Hi, you!", "v2/en_speaker_6", moment) == "Hi_you-26-01-02-0304-SPK-en_speaker_6"
    )
    assert file_stem("♪", None, moment) == "clip-26-01-02-0304-SPK-random"

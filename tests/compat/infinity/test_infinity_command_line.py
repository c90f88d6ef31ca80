"""`openbark infinity`: what is written where, what is said, and which model and device the options name."""

from __future__ import annotations

import logging
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import soundfile
from infinity_runs import SHORT, SPLIT, TEXT, flags, line, voice

from openbark.cli import infinity as command
from openbark.compat.infinity.clip_files import file_stem
from openbark.compat.infinity.loading import loaded_bark, wants_gpu, wants_small
from openbark.compat.infinity.options import resolve
from openbark.errors import ParamError
from openbark.voices.voice import Voice


def test_option_dry_run_and_text_prompt_need_no_model(tmp_path: Path) -> None:
    shown = line("--text_prompt", TEXT, "--dry_run", "True", *flags(SPLIT))
    assert shown.exit_code == 0
    assert shown.stdout.splitlines() == [
        "prompt 1: 2 segments, voice none",
        "  1. one two.",
        "  2. three four.",
    ]
    assert list(tmp_path.iterdir()) == []


def test_option_dry_run_false_is_false() -> None:
    """There, any word was true."""
    assert line("--text_prompt", "a", "--dry_run", "perhaps").exit_code == 2
    false = line("--text_prompt", "a", "--dry_run", "False", "--model", "/no/model")
    assert false.exit_code != 0 and "no checkpoint folder" in false.stderr


def test_option_prompt_file_and_split_input_into_separate_prompts_by(tmp_path: Path) -> None:
    file = tmp_path / "p.txt"
    file.write_text("one\none\ntwo")
    by_line = ["--split_input_into_separate_prompts_by", "line"]
    shown = line("--prompt_file", file, "--dry_run", "true", *by_line)
    assert shown.stdout.count("prompt ") == 3
    assert line("--prompt_file", file, "--dry_run", "true").stdout.count("prompt ") == 1
    assert line("--dry_run", "true").exit_code == 2
    assert line("--dry_run", "true", "--text_prompt", "a", *by_line).exit_code == 2
    assert "gone.txt" in line("--dry_run", "true", "--prompt_file", "gone.txt").stderr


def test_option_split_input_into_separate_prompts_by_value_and_its_kinds(tmp_path: Path) -> None:
    file = tmp_path / "p.txt"
    file.write_text("one,two, and three")
    for kind, value, count in (("string", ",", 3), ("word", "1", 3), ("regex", "t", 3)):
        shown = line(
            "--prompt_file", file, "--dry_run", "true", "--split_input_into_separate_prompts_by", kind,
            "--split_input_into_separate_prompts_by_value", value,
        )  # fmt: skip
        assert shown.stdout.count("prompt ") == count, kind


def test_option_output_dir_and_output_iterations_and_always_save_speaker_and_hoarder_mode(
    folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = line(
        "--text_prompt", TEXT, "--model", folder, "--history_prompt", "en_0", "--output_dir", out,
        "--output_iterations", 2, "--hoarder_mode", True, *flags(SHORT | SPLIT),
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    clips = [Path(text) for text in done.stdout.split()]
    assert [clip.parent for clip in clips] == [out, out]
    assert clips[0].name.startswith("one_two_three_four-") and "SPK-en_0" in clips[0].name
    names = sorted(path.name for path in out.iterdir())
    # One clip, one voice, and both again for each of two segments; twice.
    assert len(names) == 12
    saved = Voice.load(f"{clips[0]}.npz")
    first = Voice.load(next(out.glob(f"{clips[0].stem}_segment_1.wav.npz")))
    assert np.array_equal(saved.fine, first.fine)


def test_option_add_silence_between_segments_is_after_the_last_too(folder: Path) -> None:
    made = {}
    for seconds in (0.0, 0.5):
        done = line(
            "--text_prompt", TEXT, "--add_silence_between_segments", seconds, *flags(SHORT | SPLIT)
        )  # fmt: skip
        made[seconds], rate = soundfile.read(done.stdout.strip(), dtype="float32")
    assert len(made[0.5]) - len(made[0.0]) == 2 * 0.5 * rate
    assert not made[0.5][-rate // 2 :].any()


def test_option_output_filename_and_always_save_speaker_off(tmp_path: Path) -> None:
    named = line(
        "--text_prompt", "hi", "--output_dir", tmp_path / "out", "--output_filename", "x.flac",
        "--output_format", "flac", "--always_save_speaker", False, *flags(SHORT),
    )  # fmt: skip
    assert Path(named.stdout.strip()) == tmp_path / "out" / "x.flac"
    assert not (tmp_path / "out" / "x.flac.npz").exists()


def test_option_output_filename_is_never_overwritten(tmp_path: Path) -> None:
    words = ["--text_prompt", "hi", "--output_dir", tmp_path, "--output_filename", "x.wav"]
    first, second = (line(*words, *flags(SHORT)).stdout.strip() for _ in range(2))
    assert (Path(first).name, Path(second).name) == ("x.wav", "x_1.wav")


def test_option_extra_stats_and_silent_and_show_generation_times() -> None:
    words = ["--text_prompt", TEXT, "--extra_stats", True, "--show_generation_times", True]
    done = line(*words, *flags(SHORT | SPLIT))
    assert "stopped by max_seconds, seed 5: one two." in done.stderr
    assert " s: three four." in done.stderr
    assert line(*words, "--silent", True, *flags(SHORT | SPLIT)).stderr == ""


def test_option_history_prompt_unknown_is_an_error(tmp_path: Path) -> None:
    done = line("--text_prompt", "a", "--history_prompt", "nobody", "--output_dir", tmp_path)
    assert done.exit_code == 2 and "unknown voice 'nobody'" in done.stderr


def test_option_list_speakers_and_history_prompt_of_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "custom_speakers").mkdir()
    voice(3).save(tmp_path / "custom_speakers" / "mine.npz")
    listed = line("--list_speakers", "True").stdout.split()
    assert {"en_0", "mine"} <= set(listed)
    saved = []
    for named in ("mine", "custom_speakers/mine.npz"):
        done = line("--text_prompt", "hi", "--history_prompt", named, *flags(SHORT))
        assert "SPK-mine" in done.stdout
        saved.append(Voice.load(f"{done.stdout.strip()}.npz").fine.tolist())
    assert saved[0] == saved[1]


def test_option_history_prompt_of_suno_has_a_stand_in(caplog: pytest.LogCaptureFixture) -> None:
    done = line("--text_prompt", "hi", "--history_prompt", "v2/en_speaker_6", *flags(SHORT))
    assert done.exit_code == 0, done.stderr
    assert "stands in" in caplog.text


def test_option_render_npz_samples_of_a_folder_and_of_the_model(
    folder: Path, tmp_path: Path
) -> None:
    for value in (folder / "voices", True):
        done = line("--render_npz_samples", value, "--output_dir", tmp_path / str(value is True))
        assert done.exit_code == 0, done.output
        (made,) = done.stdout.split()
        assert Path(made).name == "en_0.wav"
        samples, _ = soundfile.read(made, dtype="float32")
        assert len(samples) == 30 * 320


def test_option_loglevel_is_the_least_that_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("openbark"), "level", logging.WARNING)
    line("--text_prompt", "a", "--dry_run", "true", "--loglevel", "ERROR")
    assert logging.getLogger("openbark").level == logging.ERROR
    assert line("--text_prompt", "a", "--dry_run", "true", "--loglevel", "LOUD").exit_code == 2


@pytest.mark.parametrize(
    "option", ["text_use_small", "coarse_use_small", "fine_use_small", "use_smaller_models"]
)
def test_small_models_are_asked_for_together(option: str) -> None:
    if option == "use_smaller_models":
        assert wants_small(resolve({option: True}))
    else:
        with pytest.raises(ParamError, match="set all three or none"):
            wants_small(resolve({option: True}))
    three = dict.fromkeys(["text_use_small", "coarse_use_small", "fine_use_small"], True)
    assert wants_small(resolve(three)) and not wants_small(resolve({}))
    assert line("--text_prompt", "a", *flags(three), "--model", "x").exit_code == 2


@pytest.mark.parametrize(
    "option", ["text_use_gpu", "coarse_use_gpu", "fine_use_gpu", "codec_use_gpu"]
)
def test_one_device_for_every_stage(option: str) -> None:
    with pytest.raises(ParamError, match="set all four or none"):
        wants_gpu(resolve({option: False}))
    four = [f"{stage}_use_gpu" for stage in ("text", "coarse", "fine", "codec")]
    assert wants_gpu(resolve({})) and not wants_gpu(resolve(dict.fromkeys(four, False)))
    words = flags(dict.fromkeys(four, False))
    assert line("--text_prompt", "a", "--device", "cuda", *words).exit_code == 2
    assert line("--text_prompt", "a", "--dry_run", "true", *words).exit_code == 0


def test_the_device_that_the_options_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A GPU where there is one: what is looked for is asked of the machine, and not before it is needed."""
    asked: list[bool] = []

    def choose(use_gpu: bool) -> str:
        asked.append(use_gpu)
        return "cpu"

    monkeypatch.setattr("openbark.compat.suno.model_cache.choose_device", choose)
    line("--text_prompt", "a", "--dry_run", "true")
    assert asked == []
    assert command._load(None, None, 1, resolve({})).config.name == "tiny"
    assert asked == [True]


def test_option_force_reload_loads_anew() -> None:
    values = resolve({})
    first = loaded_bark(values)
    assert loaded_bark(values) is first
    assert loaded_bark(values | {"force_reload": True}) is not first


def test_output_name() -> None:
    moment = datetime(2026, 1, 2, 3, 4)
    assert (
        file_stem("Hi, you!", "v2/en_speaker_6", moment) == "Hi_you-26-01-02-0304-SPK-en_speaker_6"
    )
    assert file_stem("♪", None, moment) == "clip-26-01-02-0304-SPK-random"

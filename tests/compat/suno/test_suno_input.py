"""What scripts pass by mistake, paths as people type them, and what is said to the person at the terminal."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from suno_models import voice_arrays

import bark
from openbark.compat.suno.command_line import main
from openbark.config import BarkConfig
from openbark.errors import OpenBarkError, ParamError, TextError, VoiceError
from openbark.voices.library import VoiceLibrary


@pytest.mark.parametrize("text", [None, 3, 2.5, b"Hi.", ["Hi."], {"text": "Hi."}, np.str_])
def test_s1_s2_s10_a_text_is_a_str(tiny_generation: ModuleType, text: Any) -> None:
    for speak in (
        bark.generate_audio,
        bark.text_to_semantic,
        tiny_generation.generate_text_semantic,
    ):
        with pytest.raises(TextError, match=r"the text is a \w+; allowed: a str"):
            speak(text)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temp", "hot"),
        ("temp", [0.7]),
        ("top_k", "five"),
        ("top_k", 1.5),
        ("top_p", "most"),
        ("min_eos_p", "low"),
        ("max_gen_duration_s", "long"),
        ("history_prompt", 3),
        ("history_prompt", [np.arange(3)] * 3),
        ("history_prompt", {"semantic_prompt": None, "coarse_prompt": None, "fine_prompt": None}),
    ],
)
def test_s10_other_types_of_options(tiny_generation: ModuleType, name: str, value: Any) -> None:
    with pytest.raises(OpenBarkError):
        tiny_generation.generate_text_semantic("Hi.", **{name: value})


@pytest.mark.parametrize("value", [None, "tokens", [[1, 2], [3]], {"a": 1}, [1.5], object()])
def test_s3_s11_s12_s13_other_types_of_tokens(tiny_generation: ModuleType, value: Any) -> None:
    for call in (
        bark.semantic_to_waveform,
        tiny_generation.generate_coarse,
        tiny_generation.generate_fine,
        tiny_generation.codec_decode,
    ):
        with pytest.raises(ParamError):
            call(value)


@pytest.mark.parametrize(
    ("path", "full"), [(None, {}), (3, {}), ("x.npz", None), ("x.npz", "full")]
)
def test_s4_other_types_of_prompts(tiny_generation: ModuleType, path: Any, full: Any) -> None:
    with pytest.raises(VoiceError):
        bark.save_as_prompt(path, full)


def test_s4_s39_home_and_capital_suffixes(
    tiny_generation: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    arrays = voice_arrays(BarkConfig.tiny(), 20, 3)
    bark.save_as_prompt("~/mine.npz", arrays)
    assert (tmp_path / "mine.npz").is_file()
    (tmp_path / "mine.npz").rename(tmp_path / "MINE.NPZ")
    for name in ("~/MINE.NPZ", Path("~/MINE.NPZ"), str(tmp_path / "MINE.NPZ")):
        found = tiny_generation._load_history_prompt(name)
        assert (found["semantic_prompt"] == arrays["semantic_prompt"]).all()
    bark.save_as_prompt(tmp_path / "Other.NPZ", arrays)
    assert VoiceLibrary([tmp_path]).names == ("MINE", "Other")
    with pytest.raises(VoiceError, match="no voice file at /"):
        tiny_generation._load_history_prompt("~/none.NPZ")


def test_s18_the_model_s_folder_may_begin_with_a_tilde(
    tiny_generation: ModuleType, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tiny_folder.parent))
    monkeypatch.setenv("OPENBARK_MODEL", f"~/{tiny_folder.name}")
    assert tiny_generation.load_model(model_type="coarse").bark.config.name == "tiny"


def test_s6_output_dir_may_begin_with_a_tilde(
    tiny_generation: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["--text", "Hi.", "--output_dir", "~/out", "--silent"]) == 0
    assert (tmp_path / "out" / "bark_generation.wav").is_file()


def test_s40_a_stand_in_is_named_once(
    tiny_generation: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        bark.text_to_semantic("Hi.", history_prompt="v2/en_speaker_3", silent=True)
        bark.text_to_semantic("Hi.", history_prompt="en_speaker_4", silent=True)
    assert [line.partition(";")[0] for line in caplog.messages] == [
        "tiny has no preset v2/en_speaker_3",
        "tiny has no preset en_speaker_4",
    ]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "silent", "printed"),
    [(_Terminal, False, True), (_Terminal, True, False), (io.StringIO, False, False)],
)
def test_s10_progress_is_for_terminals(
    tiny_generation: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    stream: Any,
    silent: bool,
    printed: bool,
) -> None:
    tiny_generation.preload_models()
    seen = stream()
    monkeypatch.setattr(sys, "stderr", seen)
    codes = np.zeros((2, 40), dtype=int)
    tiny_generation.generate_fine(codes, silent=silent)
    tiny_generation.generate_coarse(np.zeros(20, dtype=int), silent=silent)
    assert bool(seen.getvalue()) is printed

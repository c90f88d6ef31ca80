"""Bark Infinity's tools for voices: samples, variants and surgery (I5), reports (I6), names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from infinity_runs import voice

from openbark.api import Bark
from openbark.compat import infinity as inf
from openbark.config import BarkConfig
from openbark.errors import AudioError, ParamError, VoiceError
from openbark.voices.voice import Voice


@pytest.fixture
def voices(tmp_path: Path) -> Path:
    """Two voices, one of them in a folder of its own."""
    folder = tmp_path / "npz"
    (folder / "v2").mkdir(parents=True)
    voice(0).save(folder / "a.npz")
    voice(3).save(folder / "v2" / "b.npz")
    return folder


def arrays(**changes: Any) -> dict[str, Any]:
    made = voice()
    plain = {
        "semantic_prompt": made.semantic.copy(),
        "coarse_prompt": made.coarse.copy(),
        "fine_prompt": made.fine.copy(),
    }
    return {key: value for key, value in (plain | changes).items() if value is not None}


def test_I5_samples_lie_beside_the_voices(bark: Bark, voices: Path) -> None:
    made = inf.render_npz_samples(voices, bark=bark)
    assert made == [voices / "a.wav", voices / "v2" / "b.wav"]
    samples, _ = soundfile.read(made[0], dtype="float32")
    expected = bark.backend.codec_decode(voice(0).fine.copy())
    assert np.allclose(samples, expected.clip(-1, 1), atol=1e-3)
    assert inf.render_npz_samples(voices, bark=bark)[0].name == "a_1.wav"


@pytest.mark.parametrize(
    ("start_from", "ending", "kept"),
    [
        ("coarse_prompt", "_S", ("semantic", "coarse")),
        ("semantic_prompt", "_W", ("semantic",)),
    ],
)
def test_I5_start_from_keeps_what_is_before_it(
    bark: Bark, voices: Path, start_from: str, ending: str, kept: tuple[str, ...]
) -> None:
    made = inf.render_npz_samples(voices, start_from, save_npz=True, bark=bark, seed=2)
    assert made[0] == voices / f"a{ending}.wav"
    again = Voice.load(f"{made[0]}.npz")
    again.validate(bark.config)
    for field in ("semantic", "coarse", "fine"):
        same = np.array_equal(getattr(again, field), getattr(voice(0), field))
        assert same == (field in kept), field
    assert len(soundfile.read(made[0])[0]) == 320 * again.n_frames


def test_I5_coarse_codes_alone(bark: Bark, voices: Path) -> None:
    made = inf.render_npz_samples(voices, "coarse_prompt_first_two_quantizers_decoded", bark=bark)
    samples, _ = soundfile.read(made[0], dtype="float32")
    expected = bark.backend.codec_decode(voice(0).coarse.copy())
    assert np.allclose(samples, expected.clip(-1, 1), atol=1e-3)


def test_I5_double_up_history_continues_from_the_voice_itself(bark: Bark, voices: Path) -> None:
    options: dict[str, Any] = {"bark": bark, "seed": 2, "save_npz": True}
    plain = inf.render_npz_samples(voices, "semantic_prompt", **options)[0]
    doubled = inf.render_npz_samples(voices, "semantic_prompt", True, **options)[0]
    first, second = Voice.load(f"{plain}.npz"), Voice.load(f"{doubled}.npz")
    assert np.array_equal(first.semantic, second.semantic)
    assert not np.array_equal(first.coarse, second.coarse)


def test_I5_minor_variants(bark: Bark, voices: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"gen_minor_variants": 2, "bark": bark, "seed": 4}
    made = inf.render_npz_samples(voices, output_dir=tmp_path / "one", **options)
    assert [path.relative_to(tmp_path / "one").as_posix() for path in made] == [
        "a_var_1.wav",
        "a_var_2.wav",
        "v2/b_var_1.wav",
        "v2/b_var_2.wav",
    ]
    first, second = (Voice.load(f"{path}.npz") for path in made[:2])
    assert np.array_equal(first.semantic, second.semantic)
    assert not np.array_equal(first.coarse, second.coarse)
    again = inf.render_npz_samples(voices, output_dir=tmp_path / "two", **options)
    assert again[0].read_bytes() == made[0].read_bytes()


def test_I5_surgery_cuts_a_voice_in_two(bark: Bark, voices: Path) -> None:
    codes = np.random.default_rng(0).integers(0, 32, (8, 60))
    whole = Voice(np.arange(40), codes[:2], codes)
    whole.save(voices / "long.npz")
    made = inf.doctor_random_speaker_surgery(voices / "long.npz", 2, bark=bark, seed=1)
    names = ["long_var_1a.wav", "long_var_1b.wav", "long_var_2a.wav", "long_var_2b.wav"]
    assert [path.name for path in made] == names
    for first, second in (made[:2], made[2:]):
        halves = [Voice.load(f"{path}.npz") for path in (first, second)]
        assert np.array_equal(np.concatenate([half.semantic for half in halves]), whole.semantic)
        assert min(len(half.semantic) for half in halves) == 10
        for half in halves:
            half.validate(bark.config)


def test_I5_surgery_needs_a_voice_that_can_be_cut(bark: Bark, voices: Path) -> None:
    with pytest.raises(VoiceError, match="of a second or more"):
        inf.doctor_random_speaker_surgery(voices / "a.npz", bark=bark)
    assert sorted(path.name for path in voices.iterdir()) == ["a.npz", "v2"]
    with pytest.raises(VoiceError, match="no voice file"):
        inf.doctor_random_speaker_surgery(voices / "gone.npz", bark=bark)
    with pytest.raises(ParamError, match="gen_minor_variants"):
        inf.doctor_random_speaker_surgery(voices / "a.npz", 0, bark=bark)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"start_from": "pure_semantic"}, ParamError, "is 'pure_semantic'; allowed: fine_prompt"),
        ({"compression_mode": True}, ParamError, "compression_mode is refused: superpacks"),
        ({"gen_minor_variants": 0}, ParamError, "gen_minor_variants is 0"),
        ({"npz_directory": "gone"}, VoiceError, "no folder gone"),
        ({"output_dir": "file/below"}, AudioError, "cannot make the folder"),
    ],
)
def test_I5_mistakes_are_named(
    bark: Bark,
    voices: Path,
    tmp_path: Path,
    options: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(error, match=message):
        inf.render_npz_samples(**{"npz_directory": voices, "bark": bark, **options})


def test_I5_superpacks_are_refused() -> None:
    with pytest.raises(VoiceError, match="pickled Python objects"):
        inf.play_superpack_track("superpack.npz")


def test_I5_resize_semantic_history() -> None:
    history = np.arange(20, dtype=np.int32)
    assert inf.resize_semantic_history(history, 0.5, 10).tolist() == [15, 16, 17, 18, 19]
    assert inf.resize_semantic_history(history[:3], 1.0, 5).tolist() == [0, 1, 2, 10_000, 10_000]
    assert inf.resize_semantic_history(history, 0.0).tolist() == []
    assert len(inf.resize_semantic_history(history, 1.0)) == 256
    with pytest.raises(ParamError, match="allowed: from 0"):
        inf.resize_semantic_history(history, -1.0)


def test_I6_a_good_voice(bark: Bark, voices: Path) -> None:
    good = inf.history_prompt_detailed_report(voice(), config=bark.config)
    assert good == {
        "valid": True,
        "messages": [],
        "semantic_tokens": 20,
        "coarse_shape": [2, 30],
        "fine_shape": [8, 30],
        "seconds": 0.4,
    }
    for form in (voice(), arrays(), voices / "a.npz", str(voices / "a.npz")):
        assert inf.history_prompt_is_valid(form, bark.config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"semantic_prompt": None}, "semantic_prompt is missing"),
        ({"semantic_prompt": np.zeros(20)}, "semantic_prompt holds float64 values"),
        ({"semantic_prompt": np.zeros((2, 2), int)}, r"shape \[2, 2\]; allowed: \[T\]"),
        ({"semantic_prompt": np.zeros(0, int)}, "semantic_prompt is empty"),
        ({"semantic_prompt": np.arange(40)}, "0.8 frames for each semantic token; allowed: 1.5"),
        (
            {"semantic_prompt": np.array([1, 2, -7, 3, 4, 5])},
            r"holds -7 at position 2 \(around it: \[2, -7, 3\]\); allowed: 0..",
        ),
        ({"coarse_prompt": np.zeros((3, 30), int)}, r"shape \[3, 30\]; allowed: \[2, F\]"),
        ({"coarse_prompt": np.full((2, 30), 4000)}, "holds 4000 at row 0, position 0"),
        ({"fine_prompt": np.zeros(30, int)}, r"shape \[30\]; allowed: \[8, F\]"),
        ({"fine_prompt": np.zeros((8, 0), int)}, "fine_prompt is empty"),
        ({"fine_prompt": np.zeros((8, 30), int)}, "coarse differs from the first 2 rows of fine"),
    ],
)
def test_I6_each_fault_is_a_message(bark: Bark, changes: dict[str, Any], message: str) -> None:
    import re

    report = inf.history_prompt_detailed_report(arrays(**changes), 1, bark.config)
    assert not report["valid"]
    assert any(re.search(message, text) for text in report["messages"]), report["messages"]
    assert not inf.history_prompt_is_valid(arrays(**changes), bark.config)


def test_I6_a_report_for_each_array() -> None:
    broken = arrays(fine_prompt=np.full((8, 30), 2000))
    assert inf.generate_text_semantic_report(broken)["valid"]
    assert inf.generate_coarse_report(broken)["valid"]
    fine = inf.generate_fine_report(broken, token_samples=0)
    assert fine["messages"] == [
        "fine_prompt holds 2000 at row 0, position 0 (around it: [2000]); allowed: 0..1023"
    ]
    assert BarkConfig().codebook_size == 1024


def test_I6_what_is_no_voice(tmp_path: Path) -> None:
    for given in (tmp_path / "gone.npz", "nobody", None, 5):
        report = inf.history_prompt_detailed_report(given)  # type: ignore[arg-type]
        assert not report["valid"] and report["messages"]


def test_I1_list_speakers_and_the_folders_they_come_from(bark: Bark, tmp_path: Path) -> None:
    assert inf.list_speakers(bark) == ["en_0"]
    own = tmp_path / inf.VALID_HISTORY_PROMPT_DIRS[0]
    own.mkdir(parents=True)
    voice(1).save(own / "jane.npz")
    assert inf.list_speakers() == ["en_0", "jane"]
    assert inf.history_prompt_is_valid("jane", bark.config)

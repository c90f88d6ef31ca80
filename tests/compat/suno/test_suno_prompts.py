"""History prompts in every form, and writing them: rows S4 and S39-S41 of the parity list."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from suno_models import voice_arrays

import bark
from openbark.config import BarkConfig
from openbark.errors import VoiceError

PRESETS = Path(__file__).parents[3].parent / "shared" / "voices"


def test_S1_S4_S39_a_generation_is_a_prompt(tiny_generation: ModuleType, tmp_path: Path) -> None:
    full, waveform = bark.generate_audio("Hello there.", silent=True, output_full=True)
    assert waveform.ndim == 1
    assert waveform.dtype == np.float32
    assert set(full) == {"semantic_prompt", "coarse_prompt", "fine_prompt"}
    assert full["coarse_prompt"].shape[0] == 2
    assert full["fine_prompt"].shape[0] == 8
    full = {**voice_arrays(BarkConfig.tiny(), 20), "extra": np.arange(3)}
    bark.save_as_prompt(tmp_path / "me.npz", full)
    with np.load(tmp_path / "me.npz") as stored:
        assert set(stored) == {"semantic_prompt", "coarse_prompt", "fine_prompt", "extra"}
        forms = [full, str(tmp_path / "me.npz"), tmp_path / "me.npz", stored, "en_1", None]
        for form in forms:
            plain = bark.generate_audio("Hi.", history_prompt=form, silent=True)
            assert isinstance(plain, np.ndarray)


@pytest.mark.parametrize(
    ("target", "full", "message"),
    [
        ("me.wav", voice_arrays(BarkConfig.tiny(), 20), r"must end in \.npz"),
        ("me.npz", [1, 2], "must be the dictionary of generate_audio"),
        ("me.npz", {"semantic_prompt": np.zeros(3)}, "lacks coarse_prompt, fine_prompt"),
        ("gone/me.npz", voice_arrays(BarkConfig.tiny(), 20), "does not exist|No such file"),
        ("me.npz", {**voice_arrays(BarkConfig.tiny(), 20), "x": {1}}, "not an array of numbers"),
    ],
)
def test_S4_mistakes_are_typed(tmp_path: Path, target: str, full: object, message: str) -> None:
    with pytest.raises(VoiceError, match=message):
        bark.save_as_prompt(tmp_path / target, full)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("zz_speaker_1", "unknown voice 'zz_speaker_1'"),
        ("gone.npz", "no voice file at gone.npz"),
        (3, "history prompt format unrecognized"),
        ({"semantic_prompt": np.arange(20)}, "lacks coarse_prompt, fine_prompt"),
    ],
)
def test_S39_other_forms_are_value_errors(
    tiny_generation: ModuleType, prompt: object, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        bark.text_to_semantic("Hi.", history_prompt=prompt, silent=True)


def test_S40_a_preset_has_a_stand_in(
    tiny_generation: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    bark.generate_audio("Hi.", history_prompt="v2/en_speaker_3", silent=True)
    assert caplog.messages == [
        "tiny has no preset v2/en_speaker_3; its own voice en_1 stands in for it"
    ]


def test_S40_presets_of_a_folder_are_found_by_name(
    tiny_generation: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "prompts" / "v2"
    folder.mkdir(parents=True)
    arrays = voice_arrays(BarkConfig.tiny(), 20, 9)
    np.savez(folder / "en_speaker_3.npz", **arrays)
    monkeypatch.setenv("OPENBARK_VOICES", str(folder.parent))
    found = tiny_generation._load_history_prompt("v2/en_speaker_3")
    assert np.array_equal(found["fine_prompt"], arrays["fine_prompt"])


@pytest.mark.skipif(not PRESETS.is_dir(), reason="Suno's presets are not here")
def test_S39_S40_S41_every_preset_of_suno_s_loads(
    generation: ModuleType, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """261 by name and by path, ten more by path alone; announcer is stored as uint16."""
    monkeypatch.setenv("OPENBARK_VOICES", str(PRESETS))
    generation.clean_models("text")
    files = {
        file.relative_to(PRESETS).with_suffix("").as_posix(): file
        for file in PRESETS.rglob("*.npz")
    }
    assert len(files) == 271
    assert files.keys() - generation.ALLOWED_PROMPTS == {f"speaker_{n}" for n in range(10)}
    assert files.keys() > generation.ALLOWED_PROMPTS
    for name, file in files.items():
        found = generation._load_history_prompt(str(file))
        assert {array.dtype for array in found.values()} == {np.dtype(np.int64)}
        n_semantic = len(found["semantic_prompt"])
        assert 158 <= n_semantic <= 731
        assert found["fine_prompt"].shape == (8, int(n_semantic * 75 / 49.9))
        assert np.array_equal(found["coarse_prompt"], found["fine_prompt"][:2])
        if name in generation.ALLOWED_PROMPTS:
            named = generation._load_history_prompt(name)
            assert np.array_equal(named["fine_prompt"], found["fine_prompt"])
    assert caplog.messages == []


@pytest.mark.parametrize("form", ["path", "object", "numpy.load"])
def test_S39_a_pickle_in_an_npz_is_refused_without_running_it(
    tiny_generation: ModuleType, tmp_path: Path, form: str
) -> None:
    mark = tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return exec, (f"open({str(mark)!r}, 'w')",)

    arrays = voice_arrays(BarkConfig.tiny(), 20)
    arrays["semantic_prompt"] = np.array([Evil()], dtype=object)
    if form == "object":
        prompt: object = arrays
    else:
        np.savez(tmp_path / "evil.npz", allow_pickle=True, **arrays)
        prompt = tmp_path / "evil.npz" if form == "path" else np.load(tmp_path / "evil.npz")
    with pytest.raises(VoiceError):
        bark.text_to_semantic("Hi.", history_prompt=prompt, silent=True)
    if form == "numpy.load":
        prompt.close()  # type: ignore[attr-defined]
    assert not mark.exists()

"""The model and its parts through the real front door, with tiny random weights."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks import systems
from benchmarks.systems import PARTS, ModelSystem, TeacherSystem, make_part
from benchmarks.teacher import Item
from openbark.errors import ParamError

ITEM = Item("a cat", "a cat", ("a", "cat"))


@pytest.fixture(scope="module")
def model(tiny_checkpoint_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelSystem:
    """The tiny checkpoint with a preset en_0 made from a clip of its own."""
    pytest.importorskip("torch")
    from openbark.api import Bark

    folder = tmp_path_factory.mktemp("systems") / "tiny"
    shutil.copytree(tiny_checkpoint_dir, folder)
    (folder / "voices").mkdir()
    voice = Bark.load(folder, threads=1).generate("a dog ran", seed=5).as_voice()
    voice.save(folder / "voices" / "en_0.npz")
    return ModelSystem(Bark.load(folder, threads=1))


@pytest.fixture
def teacher(monkeypatch: pytest.MonkeyPatch) -> TeacherSystem:
    def speak(text: str, speaker: str) -> NDArray[np.float32]:
        return np.sin(np.arange(4800) / 20.0).astype(np.float32)

    monkeypatch.setattr(systems, "speak", speak)
    return TeacherSystem()


def test_the_model_speaks_the_same_clip_for_the_same_seed(model: ModelSystem) -> None:
    first, second = (model.speak(ITEM, "en_0", 3) for _ in range(2))
    assert len(first.waveform) > 0
    np.testing.assert_array_equal(first.waveform, second.waveform)
    assert first.stop_reason in ("eos", "min_eos_p", "max_tokens")
    assert first.stopped_at_limit == (first.stop_reason == "max_tokens")


def test_kept_codes_are_those_of_the_clip(model: ModelSystem) -> None:
    clip = model.speak(ITEM, "en_0", 4)
    decoded = model.decode(model.codes(ITEM, "en_0", 4))
    np.testing.assert_allclose(decoded.waveform, clip.waveform, atol=1e-6)


def test_a_refused_text_is_an_empty_clip_with_its_reason(model: ModelSystem) -> None:
    foreign = Item("кот", "кот", ("кот",))
    clip = model.speak(foreign, "en_0", 0)
    assert len(clip.waveform) == 0
    assert clip.stop_reason.startswith("error: ")
    assert clip.stopped_at_limit
    assert model.decode(model.codes(foreign, "en_0", 0)).stop_reason.startswith("error: ")


@pytest.mark.parametrize("name", PARTS)
def test_every_part_speaks(name: str, model: ModelSystem, teacher: TeacherSystem) -> None:
    clip = make_part(name, [teacher, model]).speak(ITEM, "en_0", 1)
    assert len(clip.waveform) > 0
    assert np.isfinite(clip.waveform).all()


def test_parts_differ_in_what_they_leave_out(model: ModelSystem, teacher: TeacherSystem) -> None:
    all_systems = [teacher, model]
    clips = {
        name: make_part(name, all_systems).speak(ITEM, "en_0", 1).waveform
        for name in ("codec", "codec-coarse", "true-coarse")
    }
    assert not np.array_equal(clips["codec"], clips["codec-coarse"])
    assert not np.array_equal(clips["codec"], clips["true-coarse"])
    codes = model.encode(teacher.speak(ITEM, "en_0"))
    filled = model.fill(codes[: model.n_coarse], "en_0", 1)
    np.testing.assert_array_equal(filled[: model.n_coarse], codes[: model.n_coarse])


def test_unknown_part_is_refused(model: ModelSystem, teacher: TeacherSystem) -> None:
    with pytest.raises(ParamError, match="codec-coarse"):
        make_part("codex", [teacher, model])


def test_the_teacher_keeps_its_clips(teacher: TeacherSystem) -> None:
    assert teacher.speak(ITEM, "en_0") is teacher.speak(ITEM, "en_0", 9)
    assert teacher.speak(ITEM, "en_0") is not teacher.speak(ITEM, "en_1")

"""Coqui's voice folders of both generations: C20 (0.22, `.npz`) and C21 (0.27, `.pth`)."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coqui_arrays import coqui_arrays

from openbark.compat.coqui import TTS, Bark
from openbark.compat.coqui.voice_folders import (
    find_coqui_voice,
    list_coqui_voices,
    read_pth,
    slug,
)
from openbark.errors import VoiceError
from openbark.voices.npz import MAX_VOICE_BYTES
from openbark.voices.voice import Voice

torch = pytest.importorskip("torch")

METADATA = {
    "model": {"name": "bark"},
    "speaker_id": "My Voice",
    "source_files": ["me.wav"],
    "created_at": "2025-01-02T03:04:05",
    "coqui_version": "0.27.2",
}


def save_npz(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **coqui_arrays(seed))
    return path


def save_pth(path: Path, seed: int = 0, **changes: Any) -> Path:
    """A voice as Coqui 0.27 writes it; a change to None takes the key away."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {key: torch.tensor(array) for key, array in coqui_arrays(seed).items()}
    content = tensors | {"metadata": METADATA} | changes
    torch.save({key: value for key, value in content.items() if value is not None}, path)
    return path


def archive(path: Path, pickled: bytes) -> Path:
    """What torch.load would take for one of its files, with any pickle inside."""
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("archive/data.pkl", pickled)
        made.writestr("archive/version", b"3\n")
    return path


def test_C20_a_voice_is_the_one_npz_of_its_folder(tmp_path: Path) -> None:
    save_npz(tmp_path / "ljspeech" / "speaker.npz", 1)
    (tmp_path / "ljspeech" / "speaker.wav").write_bytes(b"RIFF")
    voice = find_coqui_voice(tmp_path, "ljspeech")
    assert voice.name == "ljspeech"
    assert np.array_equal(voice.fine, coqui_arrays(1)["fine_prompt"])
    save_npz(tmp_path / "ljspeech" / "second.npz")
    with pytest.raises(VoiceError, match=r"2 voice files \(second.npz, speaker.npz\); keep one"):
        find_coqui_voice(tmp_path, "ljspeech")


def test_C20_a_recording_alone_has_to_be_cloned(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "speaker.WAV").write_bytes(b"RIFF")
    (tmp_path / "empty").mkdir()
    with pytest.raises(VoiceError, match=r"has to be cloned from .*speaker\.WAV"):
        find_coqui_voice(tmp_path, "new")
    with pytest.raises(VoiceError, match="neither a voice"):
        find_coqui_voice(tmp_path, "empty")
    assert list_coqui_voices(tmp_path) == ["empty", "new"]


def test_C20_names_are_never_paths(tmp_path: Path) -> None:
    save_npz(tmp_path / "secret.npz")
    (tmp_path / "voices").mkdir()
    for name in ("../secret", str(tmp_path / "secret"), ""):
        with pytest.raises(VoiceError, match="unknown voice"):
            find_coqui_voice(tmp_path / "voices", name)
    with pytest.raises(VoiceError, match="no voice folder"):
        find_coqui_voice(tmp_path / "absent", "x")


def test_C21_a_voice_is_found_by_its_name_and_by_its_slug(tmp_path: Path) -> None:
    """Coqui looks up the raw name and saves under the slug, so that it does not find its own file."""
    assert slug("My  Voice é?") == "My_Voice_e"
    save_pth(tmp_path / "My_Voice.pth")
    assert find_coqui_voice(tmp_path, "My Voice").name == "My Voice"
    assert find_coqui_voice(tmp_path, "My_Voice")


def test_C21_torch_s_file_gives_the_same_arrays(tmp_path: Path) -> None:
    voice = read_pth(save_pth(tmp_path / "me.pth", 3))
    for field, key in (("semantic", "semantic_prompt"), ("fine", "fine_prompt")):
        assert np.array_equal(getattr(voice, field), coqui_arrays(3)[key])
    assert voice.name == "me"
    assert voice.metadata == {
        "title": "My Voice",
        "created_at": "2025-01-02T03:04:05",
        "coqui_version": "0.27.2",
        "source_files": ["me.wav"],
    }
    voice.save(tmp_path / "me.npz")
    assert Voice.load(tmp_path / "me.npz").metadata == voice.metadata


def test_C21_slices_and_narrow_integers(tmp_path: Path) -> None:
    arrays = coqui_arrays(4)
    fine = torch.tensor(arrays["fine_prompt"], dtype=torch.int32)
    path = save_pth(tmp_path / "me.pth", 4, fine_prompt=fine, coarse_prompt=fine[:2], metadata=None)
    voice = read_pth(path)
    assert np.array_equal(voice.coarse, arrays["fine_prompt"][:2])
    assert voice.fine.dtype == np.int64
    transposed = torch.tensor(arrays["fine_prompt"].T.copy()).T
    voice = read_pth(save_pth(tmp_path / "t.pth", 4, fine_prompt=transposed))
    assert np.array_equal(voice.fine, arrays["fine_prompt"])


def test_C21_an_npz_comes_before_a_pth_of_its_name(tmp_path: Path) -> None:
    save_pth(tmp_path / "me.pth", 1)
    save_npz(tmp_path / "me.npz", 2)
    found = find_coqui_voice(tmp_path, "me")
    assert np.array_equal(found.fine, coqui_arrays(2)["fine_prompt"])


def test_C21_pth_voices_speak(tiny_checkpoint_dir: Path, tmp_path: Path) -> None:
    save_pth(tmp_path / "voices" / "My_Voice.pth")
    tts = TTS(progress_bar=False)
    assert tts.tts("Hi.", speaker="My Voice", voice_dir=tmp_path / "voices")


def test_C21_C32_voices_beside_the_model_are_speakers(
    tiny_checkpoint_dir: Path, tmp_path: Path
) -> None:
    """The default folder of 0.27 is `voices` in the model's."""
    folder = tmp_path / "model"
    folder.mkdir()
    for file in tiny_checkpoint_dir.iterdir():
        (folder / file.name).symlink_to(file)
    save_pth(folder / "voices" / "jane.pth", 2)
    save_npz(folder / "voices" / "v2" / "joe.npz")
    save_npz(folder / "voices" / "v2" / "jill.npz")
    tts = TTS(model_path=folder, progress_bar=False)
    assert {"jane", "v2/joe", "v2/jill"} <= set(tts.speakers)
    assert "v2" not in tts.speakers
    voice = tts.model.find_voice("jane")
    assert voice is not None and np.array_equal(voice.fine, coqui_arrays(2)["fine_prompt"])


class Explosive:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.mark,))


@pytest.mark.parametrize("inside", ["the whole", "a tensor's place", "the metadata"])
def test_C21_a_malicious_pickle_is_refused_unrun(tmp_path: Path, inside: str) -> None:
    mark = tmp_path / "ran"
    evil = Explosive(mark)
    content: Any = {"semantic_prompt": evil} if "tensor" in inside else {"metadata": evil}
    data = pickle.dumps(evil if "whole" in inside else content, 2)
    (tmp_path / "bare.pth").write_bytes(data)
    archive(tmp_path / "zip.pth", data)
    for name in ("bare", "zip"):
        with pytest.raises(VoiceError, match=r"asks for '[\w.]+' when read"):
            find_coqui_voice(tmp_path, name)
    assert not mark.exists()


def floats() -> Any:
    return torch.zeros(20)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"coarse_prompt": None}, "lacks coarse_prompt"),
        ({"semantic_prompt": [1, 2]}, "semantic_prompt is a list; it must be a tensor"),
        ({"semantic_prompt": "floats"}, "semantic_prompt: .*stored as F32; readable: I64"),
        ({"metadata": {"model": {"name": "xtts"}}}, "a voice of the model 'xtts'"),
    ],
)
def test_C21_each_broken_pth_is_its_own_error(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    made = {key: floats() if value == "floats" else value for key, value in changes.items()}
    with pytest.raises(VoiceError, match=message):
        read_pth(save_pth(tmp_path / "me.pth", **made))


def test_C21_files_that_hold_no_voice(tmp_path: Path) -> None:
    with pytest.raises(VoiceError, match="no file at"):
        read_pth(tmp_path / "gone.pth")
    buffer = io.BytesIO()
    torch.save([1, 2], buffer)
    (tmp_path / "list.pth").write_bytes(buffer.getvalue())
    with pytest.raises(VoiceError, match="holds a list"):
        read_pth(tmp_path / "list.pth")
    cut = save_pth(tmp_path / "whole.pth").read_bytes()[:-100]
    (tmp_path / "cut.pth").write_bytes(cut)
    with pytest.raises(VoiceError, match="fetch or write the file again"):
        read_pth(tmp_path / "cut.pth")
    with (tmp_path / "large.pth").open("wb") as stream:
        stream.truncate(MAX_VOICE_BYTES + 1)
    with pytest.raises(VoiceError, match="larger than"):
        read_pth(tmp_path / "large.pth")


def test_C21_metadata_that_has_no_end_is_left_alone(tmp_path: Path) -> None:
    endless: list[Any] = []
    endless.append(endless)
    long = {"speaker_id": "x" * 10_000, "source_files": endless, "created_at": 5}
    assert dict(read_pth(save_pth(tmp_path / "me.pth", metadata=long)).metadata) == {}


def test_C8_C22_every_way_to_clone_says_that_it_comes_later(
    tiny_checkpoint_dir: Path, voice_folder: Path
) -> None:
    model = TTS(progress_bar=False).model
    assert isinstance(model, Bark)
    calls = (
        lambda: model.generate_voice("a.wav", "me", voice_folder),
        lambda: model.clone_voice("a.wav", "me", voice_folder),
        lambda: model.synthesize("Hi.", speaker_wav="a.wav"),
        lambda: TTS(progress_bar=False).tts("Hi.", speaker_wav=["a.wav"]),
    )
    for call in calls:
        with pytest.raises(VoiceError, match="asks for cloning, which this version does not do"):
            call()

"""Voices as other programs keep them: transformers' tables, Infinity's extra keys, Suno's presets."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from openbark.config import BarkConfig
from openbark.errors import VoiceError
from openbark.voices.library import VoiceLibrary, library_of, user_folder
from openbark.voices.npz import ARRAY_KEYS
from openbark.voices.triplets import TABLE_FILE, read_table, write_table
from openbark.voices.voice import Voice, check_name

SUNO_VOICES = Path(__file__).parents[3] / "shared" / "voices"


class Explosive:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("exploded"),))


def arrays(seed: int = 0) -> dict[str, np.ndarray]:
    fine = np.random.default_rng(seed).integers(0, 32, (8, 30))
    return {"semantic_prompt": np.arange(20), "coarse_prompt": fine[:2], "fine_prompt": fine}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_table(tmp_path / "hf", {"en_speaker_1": arrays(1), "v2/en_speaker_1": arrays(2)})


def test_c3_a_table_has_the_layout_of_transformers(table: Path) -> None:
    content = json.loads(table.read_text())
    assert content["v2/en_speaker_1"] == {
        key: f"speaker_embeddings/v2/en_speaker_1_{key}.npy" for key in ARRAY_KEYS.values()
    }
    assert "repo_or_path" in content
    stored = np.load(table.parent / content["en_speaker_1"]["fine_prompt"])
    assert np.array_equal(stored, arrays(1)["fine_prompt"])


def test_h34_names_of_a_table_are_voices(table: Path) -> None:
    library = VoiceLibrary(tables=[table])
    assert library.names == ("en_speaker_1", "v2/en_speaker_1")
    assert library.path("v2/en_speaker_1") == table
    voice = library.get("v2/en_speaker_1")
    voice.validate(BarkConfig.tiny())
    assert voice.name == "v2/en_speaker_1"
    assert np.array_equal(voice.fine, arrays(2)["fine_prompt"])


def test_writing_into_a_table_keeps_its_voices(table: Path) -> None:
    write_table(table.parent, {"new": arrays(3)})
    assert list(read_table(table)) == ["en_speaker_1", "v2/en_speaker_1", "new"]


@pytest.mark.parametrize("name", ["../x", "/x", "a/../b", "", "a\0", "a//b", ".hidden", "x" * 200])
def test_a_name_that_leaves_the_folder_is_not_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(VoiceError, match="cannot name a voice file"):
        write_table(tmp_path, {name: arrays()})
    assert list(tmp_path.iterdir()) == []


def test_good_names() -> None:
    assert [check_name(name) for name in ("v2/en_speaker_6", "Ünï 1", "a.b-c")]


def _edited(table: Path, change: Callable[[dict[str, object]], object]) -> Path:
    content = json.loads(table.read_text())
    entry = content["en_speaker_1"]
    change(entry)
    table.write_text(json.dumps(content))
    return table


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda entry: entry.pop("fine_prompt"), "lacks fine_prompt"),
        (lambda entry: entry.update(fine_prompt=3), "must be the path of an .npy file, is 3"),
        (lambda entry: entry.update(fine_prompt="../secret.npy"), "outside the table's folder"),
        (lambda entry: entry.update(fine_prompt="/etc/passwd"), "outside the table's folder"),
        (lambda entry: entry.update(fine_prompt="..\\secret.npy"), "outside the table's folder"),
        (lambda entry: entry.update(fine_prompt="C:\\secret.npy"), "outside the table's folder"),
        (lambda entry: entry.update(fine_prompt="gone.npy"), "is not at .*gone.npy"),
        (lambda entry: entry.update(fine_prompt=TABLE_FILE), "is not an npy array"),
        (lambda entry: entry.update(semantic_prompt=entry["fine_prompt"]), "semantic has shape"),
    ],
)
def test_each_broken_entry_is_its_own_error(
    table: Path, change: Callable[[dict[str, object]], object], message: str
) -> None:
    library = VoiceLibrary(tables=[_edited(table, change)])
    assert library.get("v2/en_speaker_1")
    with pytest.raises(VoiceError, match=message):
        library.get("en_speaker_1")


def test_N13_pickled_arrays_of_a_table_are_not_run(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = table.parent / "speaker_embeddings" / "en_speaker_1_fine_prompt.npy"
    np.save(path, np.array([Explosive()], dtype=object), allow_pickle=True)
    with pytest.raises(VoiceError, match="pickled Python objects"):
        VoiceLibrary(tables=[table]).get("en_speaker_1")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no json", "cannot be read as a voice table"),
        (b"\xff\xfe\x00", "cannot be read as a voice table"),
        (b"[1]", "must be a JSON object"),
        (b'{"en": "file.npy"}', "voice 'en' must be an object"),
        (b"[" * 200_000, "cannot be read as a voice table"),
    ],
)
def test_each_broken_table_is_its_own_error(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / TABLE_FILE
    path.write_bytes(content)
    with pytest.raises(VoiceError, match=message):
        read_table(path)


def test_C3_infinity_s_extra_keys_become_metadata(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **arrays(), name=np.array("Jane"), desc=np.array(["calm"]))
    assert dict(Voice.load(tmp_path / "a.npz").metadata) == {"title": "Jane", "description": "calm"}
    np.savez(tmp_path / "b.npz", **arrays(), name=np.array([None]), extra=np.array([Explosive()]))
    assert dict(Voice.load(tmp_path / "b.npz").metadata) == {}


def save(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays(seed))
    return path


def test_folders_of_the_user_are_read_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("OPENBARK_VOICES", raising=False)
    assert user_folder() == tmp_path / "data" / "openbark" / "voices"
    assert len(library_of(tmp_path / "model")) == 0
    save(user_folder() / "mine.npz", 1)
    save(tmp_path / "prompts" / "v2" / "en_speaker_1.npz", 2)
    save(tmp_path / "model" / "voices" / "mine.npz", 3)
    write_table(tmp_path / "model", {"en_0": arrays()})
    monkeypatch.setenv("OPENBARK_VOICES", f"{tmp_path / 'absent'}:{tmp_path / 'prompts'}")
    library = library_of(tmp_path / "model")
    assert library.names == ("en_0", "mine", "v2/en_speaker_1")
    assert np.array_equal(library.get("mine").fine, arrays(3)["fine_prompt"])
    assert library_of(tmp_path / "model", with_user_folders=False).names == ("en_0", "mine")


@pytest.mark.skipif(not SUNO_VOICES.is_dir(), reason="Suno's presets are not here")
def test_S40_all_presets_are_voices_by_name() -> None:
    library = VoiceLibrary([SUNO_VOICES])
    assert len(library) == 271
    config = BarkConfig()
    for name in library:
        library.get(name).validate(config)
    assert {"announcer", "en_speaker_1", "v2/en_speaker_1"} <= set(library)


def test_a_voice_costs_no_model(tmp_path: Path) -> None:
    path = save(tmp_path / "me.npz")
    code = (
        "import sys; from openbark.voices.library import library_of; from pathlib import Path; "
        f"library_of(Path({str(tmp_path)!r})).get({str(path)!r}); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()).isdisjoint({"torch", "safetensors", "tokenizers"})

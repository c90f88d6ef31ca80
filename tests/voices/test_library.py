from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from openbark.errors import VoiceError
from openbark.voices.library import VoiceLibrary
from openbark.voices.voice import Voice


def write(path: Path, first: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    codes = np.full((8, 30), 3)
    semantic = np.full(20, first)
    Voice(semantic=semantic, coarse=codes[:2], fine=codes).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "voices"
    for name in ("en_0", "en_1", "v2/de_0"):
        write(root / f"{name}.npz")
    (root / "notes.txt").write_text("no voice")
    return root


def test_names_are_paths_without_suffix(folder: Path) -> None:
    library = VoiceLibrary([folder])
    assert library.names == ("en_0", "en_1", "v2/de_0")
    assert list(library) == ["en_0", "en_1", "v2/de_0"]
    assert len(library) == 3
    assert "en_0" in library
    assert "en_9" not in library
    assert library.path("v2/de_0") == folder / "v2" / "de_0.npz"


def test_get_by_name_and_by_path(folder: Path) -> None:
    library = VoiceLibrary([folder])
    assert library.get("v2/de_0").name == "v2/de_0"
    assert library.get(str(folder / "en_1.npz")).name == "en_1"
    assert library.get(folder / "en_1.npz").name == "en_1"


def test_unknown_names_get_suggestions_and_the_list(folder: Path) -> None:
    with pytest.raises(VoiceError, match=r"unknown voice 'en_O'; did you mean 'en_\d'") as caught:
        VoiceLibrary([folder]).get("en_O")
    assert "v2/de_0" in str(caught.value)
    with pytest.raises(VoiceError, match="unknown voice 'zzz'; this model has en_0, en_1"):
        VoiceLibrary([folder]).path("zzz")


def test_a_long_list_is_cut_with_its_count(tmp_path: Path) -> None:
    for number in range(20):
        write(tmp_path / f"v{number:02}.npz")
    with pytest.raises(VoiceError, match="and 8 more"):
        VoiceLibrary([tmp_path]).get("zzz")


def test_an_empty_library_says_so(tmp_path: Path) -> None:
    library = VoiceLibrary([tmp_path / "absent"])
    assert len(library) == 0
    with pytest.raises(VoiceError, match="no named voices"):
        library.get("en_0")


@pytest.mark.parametrize("name", ["../secret", "../voices/en_0", "/etc/passwd", "en_0\0", ""])
def test_a_name_is_never_a_path(folder: Path, name: str) -> None:
    write(folder.parent / "secret.npz")
    with pytest.raises(VoiceError, match="unknown voice"):
        VoiceLibrary([folder]).get(name)


def test_a_path_to_nothing_is_named(folder: Path) -> None:
    with pytest.raises(VoiceError, match=r"no voice file at nowhere\.npz"):
        VoiceLibrary([folder]).get("nowhere.npz")


def test_the_first_folder_wins(folder: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    write(mine / "en_0.npz", first=7)
    assert VoiceLibrary([mine, folder]).get("en_0").semantic[0] == 7
    assert VoiceLibrary([folder, mine]).get("en_0").semantic[0] == 0


def test_a_voice_is_found_by_its_other_names_and_listed_under_its_own(folder: Path) -> None:
    (folder / "aliases.json").write_text('{"old": "en_0", "en_1": "en_0", "lost": "gone"}')
    library = VoiceLibrary([folder])
    assert library.names == ("en_0", "en_1", "v2/de_0")
    assert "old" in library
    assert library.path("old") == folder / "en_0.npz"
    assert library.get("old").name == "en_0"
    # A voice of that name comes first; an alias of a voice that is not here is no name.
    assert library.get("en_1").name == "en_1"
    assert "lost" not in library
    with pytest.raises(VoiceError, match="unknown voice 'lost'"):
        library.get("lost")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[1]", "must be a JSON object"),
        ("{", "cannot be read"),
        ('{"old": 3}', "the alias 'old' is 3; expected the name of a voice"),
    ],
)
def test_aliases_that_cannot_be_read_are_refused(folder: Path, content: str, said: str) -> None:
    (folder / "aliases.json").write_text(content)
    with pytest.raises(VoiceError, match=said):
        VoiceLibrary([folder])

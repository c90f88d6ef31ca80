"""Folders of voice files and tables of voices, looked up by name or by another name (alias).

A name is only ever compared with what the folders hold; it is never made into a path. Knows no model:
`Voice.validate` checks what is found here.
"""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path

from openbark.errors import VoiceError
from openbark.files import expanded
from openbark.voices.triplets import TABLE_FILE, Triplet, read_object, read_table
from openbark.voices.voice import Voice

ALIASES_FILE = "aliases.json"
"""File of a voice folder: other name -> name."""

_SUFFIX = ".npz"
_COQUI_SUFFIX = ".pth"
_MAX_SUGGESTIONS = 5
_MAX_LISTED = 12
_MAX_REPR = 3


class VoiceLibrary:
    """The voices of some folders: `v2/en_speaker_6.npz` is the voice "v2/en_speaker_6" (docs/parity.md S40); then those of
    some tables, transformers' `speaker_embeddings_path.json` (H34).

    Folders and tables that do not exist hold no voices. Where two hold the same name, the first wins.
    A folder's `aliases.json` gives voices further names, {"en_0": "heart"}: a voice is found by them, and listed
    under its own name only. Making a library reads no array.
    """

    def __init__(
        self,
        directories: Iterable[str | os.PathLike[str]] = (),
        tables: Iterable[str | os.PathLike[str]] = (),
    ) -> None:
        """Index the folders and the tables. Raises VoiceError for a table or aliases that cannot be read."""
        roots = [Path(directory) for directory in directories]
        self._sources = _index(roots, tables)
        self._aliases = _aliases(roots, self._sources)

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)

    def __contains__(self, name: object) -> bool:
        return name in self._sources or name in self._aliases

    def __repr__(self) -> str:
        shown = ", ".join(repr(name) for name in self.names[:_MAX_REPR])
        more = ", ..." if len(self) > _MAX_REPR else ""
        return f"<VoiceLibrary of {len(self)} voices{': ' if shown else ''}{shown}{more}>"

    @property
    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        return tuple(self._sources)

    def path(self, name: str) -> Path:
        """File of a voice, or the table that lists it. Raises VoiceError for a name that is not here, with
        the nearest ones."""
        source = self._sources.get(self._aliases.get(name, name))
        if source is None:
            raise VoiceError(self._unknown(name))
        return source.table if isinstance(source, Triplet) else source

    def get(self, name: str | os.PathLike[str]) -> Voice:
        """A voice by name, or by the path of an existing `.npz` file.

        Raises VoiceError for an unknown name (with the nearest ones) or an unreadable file.
        """
        if not isinstance(name, (str, os.PathLike)):
            raise VoiceError(f"a voice's name is a string or a path, not {type(name).__name__}")
        text = os.fsdecode(name)
        text = self._aliases.get(text, text)
        source = self._sources.get(text)
        if isinstance(source, Triplet):
            return Voice.from_arrays(source.read(), text)
        if source is not None:
            return Voice.load(source, text)
        if is_voice_path(text):
            return Voice.load(text)
        if text.lower().endswith(_COQUI_SUFFIX):
            raise VoiceError(
                f"{text} is a voice file of Coqui's; make it known by name first: openbark voices import {text}"
            )
        raise VoiceError(self._unknown(text))

    def _unknown(self, name: str) -> str:
        if not self._sources:
            return (
                f"unknown voice {name!r}; this model has no named voices, "
                f"but any voice file can be given by its path (ending in {_SUFFIX})"
            )
        message = f"unknown voice {name!r}"
        nearest = difflib.get_close_matches(name, self._sources, n=_MAX_SUGGESTIONS, cutoff=0.5)
        if nearest:
            message += f"; did you mean {' or '.join(repr(match) for match in nearest)}?"
        listed = ", ".join(self.names[:_MAX_LISTED])
        more = f" and {len(self) - _MAX_LISTED} more" if len(self) > _MAX_LISTED else ""
        return f"{message}; this model has {listed}{more}, or give the path of an {_SUFFIX} file"


def is_voice_path(name: str) -> bool:
    """Whether a voice's name is the path of a voice file: by its suffix, in any case of letters."""
    return name.lower().endswith(_SUFFIX)


def _aliases(roots: Iterable[Path], names: Container[str]) -> Mapping[str, str]:
    """Further names of voices: those of a folder's `aliases.json` that no voice has and whose voice is here."""
    found: dict[str, str] = {}
    for path in (root / ALIASES_FILE for root in roots):
        if not path.is_file():
            continue
        for alias, name in read_object(path).items():
            if not isinstance(name, str):
                raise VoiceError(
                    f"{path}: the alias {alias!r} is {name!r}; expected the name of a voice"
                )
            if alias not in names and name in names:
                found.setdefault(alias, name)
    return found


def _index(
    roots: Iterable[Path], tables: Iterable[str | os.PathLike[str]]
) -> Mapping[str, Path | Triplet]:
    found: dict[str, Path | Triplet] = {}
    for root in roots:
        for path in sorted(root.rglob("*")):
            if path.suffix.lower() != _SUFFIX:
                continue
            name = path.relative_to(root).with_suffix("").as_posix()
            if path.is_file():
                found.setdefault(name, path)
    for table in map(Path, tables):
        if table.is_file():
            for name, triplet in read_table(table).items():
                found.setdefault(name, triplet)
    return dict(sorted(found.items()))


_LOG = logging.getLogger(__name__)

VOICES_FOLDER = "voices"
"""Folder of a checkpoint that holds its own voices."""

VOICES_VARIABLE = "OPENBARK_VOICES"
"""Environment variable that names further voice folders."""


def user_folder() -> Path:
    """Where imported voices are kept."""
    given = os.environ.get("XDG_DATA_HOME", "")
    base = Path(given) if given else Path.home() / ".local" / "share"
    return base / "openbark" / VOICES_FOLDER


def user_folders() -> list[Path]:
    """Every folder of the user, those of OPENBARK_VOICES first."""
    given = os.environ.get(VOICES_VARIABLE, "").split(os.pathsep)
    return [*(expanded(folder) for folder in given if folder), user_folder()]


def library_of(checkpoint: Path, *, with_user_folders: bool = True) -> VoiceLibrary:
    """The voices that a model in the folder `checkpoint` can be given by name.

    Raises VoiceError for a broken table of voices.
    """
    users = user_folders() if with_user_folders else []
    for folder in users[:-1]:
        if not folder.is_dir():
            _LOG.warning(
                "%s names %s, which is not a folder; voices in it are not found",
                VOICES_VARIABLE,
                folder,
            )
    tables = [folder / TABLE_FILE for folder in (checkpoint, *users)]
    return VoiceLibrary([checkpoint / VOICES_FOLDER, *users], tables)

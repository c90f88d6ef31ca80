"""Where voices are looked for: in the model's own folder, then in the user's.

    <checkpoint>/voices/*.npz, <checkpoint>/speaker_embeddings_path.json
    each folder of OPENBARK_VOICES (separated as in PATH)
    $XDG_DATA_HOME/openbark/voices (by default ~/.local/share/openbark/voices): `openbark voices import`

The environment is read when it is asked for, never at import. Knows no file format.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from openbark.files import expanded
from openbark.voices.library import VoiceLibrary
from openbark.voices.triplets import TABLE_FILE

__all__ = ["VOICES_FOLDER", "VOICES_VARIABLE", "library_of", "user_folder", "user_folders"]

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

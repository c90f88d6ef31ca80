"""What a user calls a model to the folder that it is in: the embedded one, a folder, a name on the hub."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from openbark.assets import EMBEDDED_NAME, embedded_directory
from openbark.checkpoints.hub.download import HubAccess, download, is_hub_id
from openbark.errors import CheckpointNotFoundError
from openbark.files import expanded


def find_checkpoint(
    path: str | os.PathLike[str] | None = None, access: HubAccess | None = None
) -> Path:
    """The folder (or Suno file) that a user's model names: None or "embedded" is the one inside the
    package; a text OWNER/NAME that is not a folder here is a model on the hub, fetched as `access` says unless
    it is cached. A subfolder counts for folders too.

    Raises CheckpointNotFoundError saying what was looked for, or another CheckpointError of the download.
    """
    if path is None or path == EMBEDDED_NAME:
        return embedded_directory()
    if not isinstance(path, (str, os.PathLike)):
        raise CheckpointNotFoundError(
            f"a model is a path, {EMBEDDED_NAME!r} or a name on the hub, not {type(path).__name__}"
        )
    access = access or HubAccess()
    folder = expanded(path)
    if _exists(folder):
        return folder / access.subfolder
    if isinstance(path, str) and is_hub_id(path):
        return download(path, tell, access)
    raise CheckpointNotFoundError(
        f"no checkpoint folder at {folder}; give the path of a folder, {EMBEDDED_NAME!r} for the model "
        "inside the package, or the name of a model on the hub such as 'suno/bark-small'"
    )


def public_source(path: str | os.PathLike[str] | None) -> str | None:
    """A model's name where it means the same on every machine; a user's folders are private."""
    if path is None or path == EMBEDDED_NAME:
        return EMBEDDED_NAME
    if isinstance(path, str) and is_hub_id(path) and not _exists(expanded(path)):
        return path
    return None


def _exists(folder: Path) -> bool:
    try:
        return folder.exists()
    except (OSError, ValueError):  # a name that is too long, or holds a zero byte
        return False


def tell(line: str) -> None:
    """What takes seconds or gigabytes is said before it starts."""
    print(line, file=sys.stderr, flush=True)

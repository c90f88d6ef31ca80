"""Which model Suno's scripts get, and where each of its stages is.

In this order: the model that OPENBARK_MODEL names; Suno's `.pt` files in Suno's cache folder, each stage in
the size asked for; a copy of suno/bark or suno/bark-small in the Hugging Face cache; the model inside this
package, with one line that says so. Nothing is downloaded unasked. Loads nothing.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from openbark.assets import EMBEDDED_NAME, embedded_directory
from openbark.checkpoints.checkpoint import is_suno
from openbark.checkpoints.find import find_checkpoint
from openbark.checkpoints.layouts.suno_folder import SunoFile, scan_folder
from openbark.checkpoints.layouts.suno_names import STAGES
from openbark.compat.suno.environment import MODEL_VARIABLE, cache_folder
from openbark.errors import CheckpointNotFoundError

_LOG = logging.getLogger(__name__)

_TRIOS = {
    False: ("text_2.pt", "coarse_2.pt", "fine_2.pt"),
    True: ("text.pt", "coarse.pt", "fine.pt"),
}
_REPOSITORIES = {False: "suno/bark", True: "suno/bark-small"}
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")


@dataclass(frozen=True)
class Place:
    """Where a stage's weights are: a whole checkpoint (a folder, or one of Suno's files that stands for the
    files of its size), or a file that holds this stage alone. `small`: of Suno's smaller size."""

    path: Path
    alone: bool
    small: bool


class Notices:
    """Warnings for the person at the terminal, each said once."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def warn(self, line: str) -> None:
        """Log the line unless it was said before."""
        if line not in self._said:
            self._said.add(line)
            _LOG.warning("%s", line)


def choose_device(use_gpu: bool, allow_mps: bool = False) -> str:
    """The device for a script that does or does not want a GPU; "cpu" where there is none (docs/parity.md S14, C30)."""
    if not use_gpu or find_spec("torch") is None:
        return "cpu"
    from openbark.backends.torch.devices import best_device

    return best_device(allow_mps)


def find_model(small: bool, folders: Sequence[Path] = ()) -> str:
    """The name or path to give to `Bark.load` for Suno's large or small models; `folders` are looked
    through for `.pt` files after Suno's own. Logs a line when it is not what was asked for."""
    named = os.environ.get(MODEL_VARIABLE, "")
    if named:
        return named
    for size in (small, not small):
        places = (cache_folder(), *folders)
        trios = [found for folder in places if (found := _trio(folder, size))]
        found = trios[0] if trios else _in_hub_cache(size)
        if found is None:
            continue
        if size != small:
            _LOG.warning(
                "the %s models are not on this machine; using the %s ones in %s",
                *(("small", "large") if small else ("large", "small")),
                found,
            )
        return str(found)
    _LOG.warning("%s", _embedded_line(small))
    return EMBEDDED_NAME


def _embedded_line(small: bool, what_is_there: str = "") -> str:
    name = _REPOSITORIES[small]
    return (
        f"Suno's models are not on this machine{what_is_there}; using the small English model inside "
        f"openbark. For Suno's, set {MODEL_VARIABLE}={name} or fetch them with: openbark models download "
        f"{name}"
    )


def find_place(stage: str, small: bool, notices: Notices) -> Place:
    """Where the "text", "coarse" or "fine" stage is for Suno's large or small models, each stage in its own
    size. The three come from one family: all Suno's, or all the embedded model's.

    Says so when it is not what was asked for. Raises CheckpointNotFoundError where OPENBARK_MODEL names
    nothing, or a folder of Suno's files that lacks the stage.
    """
    named = os.environ.get(MODEL_VARIABLE, "")
    if named:
        path = find_checkpoint(named)
        if not (path.is_dir() and is_suno(path)):
            return Place(path, False, small)
        found = _in_folder(path, stage, small) or _in_folder(path, stage, not small)
        if found is None:
            raise CheckpointNotFoundError(f"{path} lacks Suno's {stage} model")
        return _told(found, stage, small, notices)
    places = {name: _suno_place(name, small) for name in STAGES}
    missing = [name for name, place in places.items() if place is None]
    chosen = places[stage]
    if chosen is None or missing:
        there = [str(place.path) for place in places.values() if place is not None]
        lacking = f" ({', '.join(there)} without {' and '.join(missing)})" if there else ""
        notices.warn(_embedded_line(small, lacking))
        return Place(embedded_directory(), False, small)
    return _told(chosen, stage, small, notices)


def _suno_place(stage: str, small: bool) -> Place | None:
    for size in (small, not small):
        found = _in_folder(cache_folder(), stage, size)
        if found is None:
            snapshot = _in_hub_cache(size)
            found = Place(snapshot, False, size) if snapshot is not None else None
        if found is not None:
            return found
    return None


def _in_folder(folder: Path, stage: str, small: bool) -> Place | None:
    """The stage's file by Suno's name for it, else by what the folder's files hold."""
    file = folder / _TRIOS[small][STAGES.index(stage)]
    if file.is_file():
        return Place(file, True, small)
    if not folder.is_dir():
        return None
    for item in scan_folder(folder)[0]:
        if isinstance(item, SunoFile) and item.stage == stage and item.is_small is small:
            return Place(item.file, True, small)
    return None


def _told(place: Place, stage: str, small: bool, notices: Notices) -> Place:
    if place.small != small:
        asked, other = ("small", "large") if small else ("large", "small")
        notices.warn(
            f"the {asked} {stage} model is not on this machine; using the {other} one in {place.path}"
        )
    return place


def trios(folder: Path) -> list[Path]:
    """Suno's large and small models that a folder holds whole, each by the first of its three files."""
    return [found for small in (False, True) if (found := _trio(folder, small)) is not None]


def _trio(folder: Path, small: bool) -> Path | None:
    files = [folder / name for name in _TRIOS[small]]
    # The first file stands for the three of its size, where the folder holds both.
    return files[0] if all(file.is_file() for file in files) else None


def _in_hub_cache(small: bool) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    for name in _WEIGHTS:
        found = try_to_load_from_cache(_REPOSITORIES[small], name)
        if isinstance(found, str):
            return Path(found).parent
    return None

"""Which models are on this machine: the embedded one, the hub's cache, Suno's cache, Coqui's folders.

Only looks: nothing is fetched, converted or deleted. What is a Bark is told by content.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from openbark.checkpoints.checkpoint import Checkpoint, open_checkpoint
from openbark.errors import CheckpointError


@dataclass(frozen=True, eq=False)
class LocalModel:
    """A model that is here: what to give to `--model`, whose place it is in, and the opened checkpoint or what
    keeps it from being opened."""

    name: str
    place: str
    folder: Path
    checkpoint: Checkpoint | None = None
    problem: str = ""


def local_models() -> Iterator[LocalModel]:
    """Every model that is here, embedded first, each once."""
    seen: set[Path] = set()
    for found in _places():
        key = found.folder.resolve()
        if key not in seen:
            seen.add(key)
            yield found


def _places() -> Iterator[LocalModel]:
    from openbark.assets import EMBEDDED_NAME, embedded_directory, has_embedded
    from openbark.compat.coqui.config import model_folders
    from openbark.compat.suno.environment import cache_folder

    if has_embedded():
        yield _opened(EMBEDDED_NAME, "inside openbark", embedded_directory())
    yield from _of_the_hub()
    yield from _of_suno("Suno's cache", cache_folder())
    for folder in model_folders():
        yield from _of_suno("Coqui's folder", folder)


def _of_the_hub() -> Iterator[LocalModel]:
    """Barks among the repositories of the hub's cache, those without weights or sizes left out."""
    from huggingface_hub import constants, scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        repositories = scan_cache_dir(constants.HF_HUB_CACHE).repos
    except CacheNotFound:
        return
    for repository in sorted(repositories, key=lambda found: found.repo_id):
        if repository.repo_type != "model":
            continue
        for revision in sorted(repository.revisions, key=lambda found: -found.last_modified):
            folder = Path(revision.snapshot_path)
            if _is_bark(folder):
                newest = "main" in revision.refs or len(repository.revisions) == 1
                pin = "" if newest else f"@{revision.commit_hash}"
                yield _opened(f"{repository.repo_id}{pin}", "hub cache", folder)


def _is_bark(folder: Path) -> bool:
    from openbark.checkpoints.formats.json_file import read_json
    from openbark.compat.suno.model_cache import trios

    config = folder / "config.json"
    if not config.is_file():
        return bool(trios(folder))
    try:
        return read_json(config).get("model_type") == "bark"
    except CheckpointError:
        return False


def _of_suno(place: str, folder: Path) -> Iterator[LocalModel]:
    from openbark.compat.suno.model_cache import trios

    for file in trios(folder):
        yield _opened(str(file), place, file)


def _opened(name: str, place: str, folder: Path) -> LocalModel:
    try:
        checkpoint = open_checkpoint(folder, need_tokenizer=False, need_codec=False)
    except CheckpointError as error:
        return LocalModel(name, place, folder, problem=str(error))
    return LocalModel(name, place, folder, checkpoint)

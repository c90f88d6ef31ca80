"""Which model Suno's scripts get, and the models that are loaded.

In this order: the model that OPENBARK_MODEL names; Suno's `.pt` files in Suno's cache folder; a copy of
suno/bark or suno/bark-small in the Hugging Face cache; the model inside this package, with one line that
says so. Nothing is downloaded unasked. Knows no generation.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from openbark.api import Bark
from openbark.assets import EMBEDDED_NAME
from openbark.compat.suno.environment import MODEL_VARIABLE, cache_folder

__all__ = ["ModelCache", "StageModel", "choose_device", "find_model"]

_LOG = logging.getLogger(__name__)

_TRIOS = {
    False: ("text_2.pt", "coarse_2.pt", "fine_2.pt"),
    True: ("text.pt", "coarse.pt", "fine.pt"),
}
_REPOSITORIES = {False: "suno/bark", True: "suno/bark-small"}
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")


@dataclass(frozen=True, eq=False)
class StageModel:
    """What the dictionary `models` holds where Suno has a network: one stage of a loaded Bark."""

    bark: Bark
    stage: str
    small: bool
    device: str


def choose_device(use_gpu: bool, allow_mps: bool = False) -> str:
    """The device for a script that does or does not want a GPU; "cpu" where there is none (S14, C30)."""
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
    _LOG.warning(
        "Suno's models are not on this machine; using the small English model inside openbark. "
        "For Suno's, set %s=%s or fetch them with: openbark models download %s",
        MODEL_VARIABLE,
        _REPOSITORIES[small],
        _REPOSITORIES[small],
    )
    return EMBEDDED_NAME


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


class ModelCache:
    """Loaded Barks, one for each model and device: asking for another size loads that size (S14)."""

    def __init__(self) -> None:
        self._barks: dict[tuple[str, str], Bark] = {}
        self._names: dict[bool, tuple[str, str]] = {}
        self._lock = threading.RLock()

    def load(self, small: bool, device: str, force_reload: bool = False) -> Bark:
        """The Bark of a size on a device, loaded on first use. Raises what `Bark.load` raises."""
        with self._lock:
            name = self._name(small)
            key = (name, device)
            if force_reload or key not in self._barks:
                self._barks[key] = Bark.load(name, device)
            return self._barks[key]

    def keep(self, barks: list[Bark]) -> None:
        """Let go of every Bark that is not among `barks`."""
        with self._lock:
            kept = {key: bark for key, bark in self._barks.items() if bark in barks}
            self._barks.clear()
            self._barks.update(kept)

    def _name(self, small: bool) -> str:
        """`find_model`, asked again only when the environment has changed, so that it warns once."""
        asked = f"{os.environ.get(MODEL_VARIABLE, '')}|{cache_folder()}"
        known = self._names.get(small)
        if known is None or known[0] != asked:
            known = (asked, find_model(small))
            self._names[small] = known
        return known[1]

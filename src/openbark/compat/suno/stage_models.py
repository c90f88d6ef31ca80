"""One stage of a Bark, loaded alone: what the dictionary `models` holds where Suno has a network (docs/parity.md S14, S15, S44).

A stage costs what its own network costs: a small text model beside large others is four networks, not two
Barks. Knows no generation and no module-level state.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from openbark.api import Bark
from openbark.backends.select import load_backend
from openbark.checkpoints.checkpoint import (
    Checkpoint,
    open_cached_codec,
    open_checkpoint,
    open_suno_stage,
)
from openbark.checkpoints.convert import ready_checkpoint
from openbark.checkpoints.suno_folder import cached_tokenizer
from openbark.compat.suno.model_cache import Notices, Place, find_place
from openbark.errors import CheckpointNotFoundError
from openbark.text.tokenizer import Tokenizer
from openbark.voices.folders import library_of

__all__ = ["StageModel", "clear_cuda_cache", "load_network", "load_stage"]

_PARTS = {
    "text": "semantic",
    "coarse": "coarse_acoustics",
    "fine": "fine_acoustics",
    "codec": "codec_model",
}


@runtime_checkable
class _Movable(Protocol):
    def to(self, device: str) -> None: ...


@dataclass(frozen=True, eq=False)
class StageModel:
    """A Bark of which one network is loaded: `bark` computes this `stage` alone, on `device`.

    small: the size that was asked for. place: where the weights came from.
    """

    bark: Bark
    stage: str
    small: bool
    device: str
    place: Place

    @contextmanager
    def computing(self, offload: bool) -> Iterator[Bark]:
        """The Bark on its device while the stage runs; with `offload` its weights go back to the CPU
        afterwards (S44)."""
        backend = self.bark.backend
        movable = self.device != "cpu" and isinstance(backend, _Movable)
        if movable:
            backend.to(self.device)  # type: ignore[attr-defined]
        try:
            yield self.bark
        finally:
            if movable and offload:
                backend.to("cpu")  # type: ignore[attr-defined]
                clear_cuda_cache()


def load_stage(
    stage: str,
    small: bool,
    device: str,
    notices: Notices,
    offload: bool = False,
    beside: Place | None = None,
) -> StageModel:
    """Load "text", "coarse", "fine" or "codec". The codec is that of `beside`, the place of another stage,
    or of the fine stage; `offload` keeps the weights on the CPU until they are needed.

    Raises CheckpointError, DeviceError, MissingExtraError.
    """
    place = beside or find_place("fine" if stage == "codec" else stage, small, notices)
    checkpoint = ready_checkpoint(_opened(stage, place), _tell).only([_PARTS[stage]])
    # Only PyTorch moves weights between devices; only full precision gives Suno's tokens.
    kind = None if device == "cpu" else "torch"
    backend = load_backend(checkpoint, kind, "cpu" if offload else device, "float32")
    tokenizer = Tokenizer.load(checkpoint.tokenizer_path)
    bark = Bark(backend, tokenizer, checkpoint.defaults, library_of(checkpoint.directory))
    return StageModel(bark, stage, small, device, place)


def _opened(stage: str, place: Place) -> Checkpoint:
    if not place.alone:
        return open_checkpoint(place.path)
    if stage == "codec":
        return open_cached_codec(place.path.parent)
    return open_suno_stage(place.path)


def load_network(file: Path, device: str, stage: str) -> Any:
    """The torch network of one of Suno's files, for "text" a dictionary with its tokenizer (S19).

    Raises CheckpointNotFoundError for a file that is not there or holds another model, and MissingExtraError
    without torch.
    """
    from openbark.compat.suno.model import networks

    network = networks().read_network(file, stage).to(device)
    if stage != "text":
        return network
    beside = (file.parent / name for name in ("tokenizer.json", "vocab.txt"))
    tokenizer = next((path for path in beside if path.is_file()), None) or cached_tokenizer()
    if tokenizer is None:
        raise CheckpointNotFoundError(f"{file.parent} lacks the tokenizer of Suno's models")
    return {"model": network, "tokenizer": Tokenizer.load(tokenizer)}


def clear_cuda_cache() -> None:
    """Give the memory that torch keeps for later back, where the script has torch."""
    if "torch" in sys.modules:
        from openbark.backends.torch.devices import release_memory

        release_memory()


def _tell(line: str) -> None:
    """What takes minutes or gigabytes is said before it starts."""
    sys.stderr.write(line + "\n")

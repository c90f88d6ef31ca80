"""One stage of a Bark, loaded alone: what the dictionary `models` holds where Suno has a network (docs/parity.md S14, S15, S44).

A stage costs what its own network costs: a small text model beside large others is four networks, not two
Barks. Knows no generation and no module-level state.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
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
from openbark.checkpoints.layouts.suno_folder import cached_tokenizer
from openbark.compat.suno.model import stage_networks
from openbark.compat.suno.model_cache import Notices, Place, find_place
from openbark.config import BarkConfig
from openbark.errors import CheckpointNotFoundError, ParamError
from openbark.params import SUNO_PARAMS
from openbark.text.tokenizer import Tokenizer
from openbark.voices.library import VoiceLibrary, library_of

_PARTS = {
    "text": "semantic",
    "coarse": "coarse_acoustics",
    "fine": "fine_acoustics",
    "codec": "codec_model",
}


@runtime_checkable
class _Movable(Protocol):
    def to(self, device: str) -> None: ...


class StageModel:
    """A Bark of which one network is loaded: `bark` computes this `stage` alone.

    Names that it lacks are those of the stage's torch network (`network`). Once a script has asked for that, the
    stage computes with it: what is loaded into it, trained or moved is what speaks.
    """

    def __init__(
        self,
        bark: Bark,
        stage: str,
        small: bool,
        device: str,
        place: Place | None,
        weights: Checkpoint | None,
    ) -> None:
        """small: the size that was asked for. device: where it was asked to compute. place: where the weights came
        from; None, as `weights`, for a script's own."""
        self.bark = bark
        self.stage = stage
        self.small = small
        self.device = device
        self.place = place
        self._weights = weights
        self._network: Any = None

    @property
    def network(self) -> Any:
        """The torch module with Suno's interface, or encodec's for the codec. Raises MissingExtraError without
        torch."""
        if self._network is None and self._weights is not None:
            modules = stage_networks(self.stage)
            network = modules.read_stage(self._weights, self.stage, self.device)
            self._compute_with(network, modules.backend_of(network, self.stage, self.bark.config))
        return self._network

    @classmethod
    def of_network(cls, network: Any, stage: str, tokenizer: Tokenizer) -> StageModel:
        """A stage that computes with a script's own network, by Suno's rules. Raises ParamError for a network of
        another kind."""
        backend = stage_networks(stage).backend_of(network, stage, BarkConfig())
        bark = Bark(backend, tokenizer, SUNO_PARAMS, VoiceLibrary())
        device = str(next(network.parameters()).device)
        made = cls(bark, stage, False, device, None, None)
        made._network = network
        return made

    def _compute_with(self, network: Any, backend: Any) -> None:
        old = self.bark
        self.bark = Bark(backend, old.tokenizer, old.default_params, old.voices)
        self._network, self._weights = network, None

    @property
    def current_device(self) -> str:
        """Where the weights are: the device asked for, or where a script has moved the network."""
        if self._network is None:
            return self.device
        return str(next(self._network.parameters()).device)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__} has no {name!r}")
        value = getattr(self.network, name)
        if not callable(value) or getattr(value, "__self__", None) is not self.network:
            return value

        @wraps(value)
        def method(*args: Any, **keywords: Any) -> Any:
            result = value(*args, **keywords)
            # As `models["fine"].to("cuda").eval()`: what goes back into `models` stays a stage.
            return self if result is self.network else result

        return method

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        """Call the network, as Suno's code does."""
        return self.network(*args, **keywords)

    def __repr__(self) -> str:
        return f"<{self.stage} stage of {self.bark.config.name}, {self.bark.backend.description}>"

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


def stage_in(
    entry: Any, name: str, find_tokenizer: Callable[[], Tokenizer]
) -> tuple[StageModel, Any]:
    """The stage of an entry of `models`, and the entry that holds it. A network that the script has made, loaded or
    trained itself becomes a stage, with the tokenizer of the entry or else that of `find_tokenizer`.

    Raises ParamError for anything else.
    """
    pair = entry if name == "text" and isinstance(entry, dict) else {"model": entry}
    stage = pair.get("model")
    if isinstance(stage, StageModel):
        return stage, entry
    if not hasattr(stage, "state_dict"):
        raise ParamError(
            f"models[{name!r}] holds a {type(stage).__name__}; load it with load_model(model_type={name!r})"
        )
    stage = StageModel.of_network(stage, name, pair.get("tokenizer") or find_tokenizer())
    return stage, {**pair, "model": stage} if pair is entry else stage


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
    checkpoint = ready_checkpoint(_opened(stage, place), notify).only([_PARTS[stage]])
    # Only PyTorch moves weights between devices; only full precision gives Suno's tokens.
    kind = None if device == "cpu" else "torch"
    backend = load_backend(checkpoint, kind, "cpu" if offload else device, "float32")
    tokenizer = Tokenizer.load(checkpoint.tokenizer_path)
    bark = Bark(backend, tokenizer, checkpoint.defaults, library_of(checkpoint.directory))
    return StageModel(bark, stage, small, device, place, checkpoint)


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


def notify(line: str) -> None:
    """Write a line on stderr before work that takes minutes or gigabytes."""
    sys.stderr.write(line + "\n")

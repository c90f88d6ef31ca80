"""From what a caller names to the parts of a loaded model: checkpoint, backend, tokenizer, voices.

`Bark.load` puts the parts together; `LoadOptions` also loads the same model again in another process.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from openbark.backends.base import Backend
from openbark.backends.select import load_backend
from openbark.checkpoints.checkpoint import open_checkpoint
from openbark.checkpoints.convert import ready_checkpoint
from openbark.checkpoints.find import find_checkpoint, public_source, tell
from openbark.checkpoints.fingerprint import fingerprint
from openbark.errors import ParamError
from openbark.files import expanded
from openbark.params import GenerationParams
from openbark.result import ModelOrigin
from openbark.scalars import read_whole
from openbark.stages.coarse import CoarseWindow, with_coarse_window
from openbark.text.tokenizer import Tokenizer
from openbark.voices.library import VoiceLibrary, library_of


@dataclass(frozen=True)
class LoadOptions:
    """The arguments of `Bark.load`. Raises ParamError for values of the wrong kind."""

    path: str | os.PathLike[str] | None = None
    device: str | None = None
    dtype: str | None = None
    threads: int | None = None
    backend: str | None = None
    coarse_window: CoarseWindow | None = None

    def __post_init__(self) -> None:
        if self.threads is not None:
            threads = read_whole(self.threads)
            if threads is None or threads < 1:
                raise ParamError(
                    f"threads is {self.threads!r}; allowed: a whole number from 1, or None"
                )
            object.__setattr__(self, "threads", threads)
        for name in ("device", "dtype", "backend"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise ParamError(f"{name} is {value!r}; allowed: a name as text, or None")

    def __getstate__(self) -> dict[str, object]:
        """For other processes, which may run in another folder: a path of this machine is made absolute."""
        state = dict(self.__dict__)
        if self.path is not None and public_source(self.path) is None:
            state["path"] = expanded(self.path).absolute()
        return state


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """The arguments of `Bark`."""

    backend: Backend
    tokenizer: Tokenizer
    default_params: GenerationParams
    voices: VoiceLibrary
    origin: ModelOrigin


def load_model(options: LoadOptions) -> LoadedModel:
    """Find, convert where needed, and load. Raises as `Bark.load`."""
    found = ready_checkpoint(open_checkpoint(find_checkpoint(options.path)), tell)
    checkpoint = replace(found, config=with_coarse_window(found.config, options.coarse_window))
    tokenizer = Tokenizer.load(checkpoint.tokenizer_path)
    backend = load_backend(
        checkpoint,
        options.backend,
        options.device,
        options.dtype or "auto",
        options.threads,
        tell,
    )
    origin = ModelOrigin(
        source=public_source(options.path),
        fingerprint=fingerprint(checkpoint),
        backend=backend.description.partition(" ")[0],
        device=options.device or "cpu",
        dtype=backend.dtype,
        coarse_window=options.coarse_window,
    )
    voices = library_of(checkpoint.directory)
    return LoadedModel(backend, tokenizer, checkpoint.defaults, voices, origin)

"""Random weights for a config: checkpoints for tests and benchmarks, where sizes matter and speech does not.

Layers keep the scale of their input, so that logits differ clearly from each other. Either all tensors at once, or a
checkpoint whose tensors are made when they are read, so that a large one takes no more memory than one from files.
"""

from __future__ import annotations

import math
import tempfile
import weakref
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import numpy as np
from numpy.typing import NDArray

from openbark.checkpoints.checkpoint import Checkpoint
from openbark.checkpoints.layouts.canonical import Source
from openbark.checkpoints.layouts.shapes import CODEC_PREFIX, Shape, expected_shapes
from openbark.config import BarkConfig
from openbark.params import SUNO_PARAMS

_ROWS_AT_ONCE = 1024


def random_checkpoint(config: BarkConfig, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """A random float32 tensor for every name of `expected_shapes(config)`; each depends on `seed` and its
    own name only."""
    return {
        name: RandomTensor(name, shape, seed).made()
        for name, shape in expected_shapes(config).items()
    }


def checkpoint_of_random_weights(config: BarkConfig, seed: int = 0) -> Checkpoint:
    """A checkpoint with the weights of `random_checkpoint`, in no folder and without a tokenizer.

    Engines read a codec when the first clip needs it: its tensors are made here, so that no clip waits for dice.
    """
    tensors = {
        name: RandomTensor(name, shape, seed) for name, shape in expected_shapes(config).items()
    }
    # What is read of a source is its `read`, and its `parts` where it lies in files; these do not.
    sources = cast(Mapping[str, Source], tensors | _codec_in_a_file(tensors))
    return Checkpoint(Path(config.name), config, SUNO_PARAMS, Path("tokenizer.json"), sources)


@dataclass(frozen=True, slots=True)
class RandomTensor:
    """One tensor, made anew at every look."""

    name: str
    shape: Shape
    seed: int

    @property
    def parts(self) -> tuple[()]:
        """It lies in no file."""
        return ()

    def read(self) -> NDArray[np.float32]:
        """As a checkpoint's tensor is read: an embedding table is mapped from a file (one without a name),
        everything else is an array of its own."""
        if not _is_table(self.name, self.shape):
            return self.made()
        with tempfile.TemporaryFile() as stream:
            self.write(stream)
            stream.flush()
            return np.asarray(np.memmap(stream, np.float32, "r", shape=self.shape))

    def made(self) -> NDArray[np.float32]:
        """The whole tensor in memory."""
        return self._rows(self._generator(), self.shape)

    def write(self, stream: IO[bytes]) -> None:
        """Its bytes, without ever holding all of a large table."""
        generator = self._generator()
        for first in range(0, self.shape[0], _ROWS_AT_ONCE):
            rows = min(_ROWS_AT_ONCE, self.shape[0] - first)
            stream.write(self._rows(generator, (rows, *self.shape[1:])).data)

    def _rows(self, generator: np.random.Generator, shape: Shape) -> NDArray[np.float32]:
        offset, scale = _distribution(self.name, self.shape)
        values = generator.standard_normal(shape, dtype=np.float32)
        # In place: benchmarks measure the memory of the process that this runs in.
        values *= np.float32(scale)
        values += offset
        return values

    def _generator(self) -> np.random.Generator:
        return np.random.default_rng([self.seed, zlib.crc32(self.name.encode())])


class _NamelessFile:
    """A file that is gone with the last who holds it."""

    def __init__(self) -> None:
        self.stream = tempfile.TemporaryFile()  # noqa: SIM115
        weakref.finalize(self, self.stream.close)


@dataclass(frozen=True, slots=True)
class _FiledTensor:
    """One tensor in a file."""

    file: _NamelessFile
    start: int
    shape: Shape

    @property
    def parts(self) -> tuple[()]:
        """It is in no file that another process could read."""
        return ()

    def read(self) -> NDArray[np.float32]:
        """As of a checkpoint's file: mapped, for as long as it is referenced."""
        return np.asarray(np.memmap(self.file.stream, np.float32, "r", self.start, self.shape))


def _codec_in_a_file(tensors: Mapping[str, RandomTensor]) -> dict[str, _FiledTensor]:
    file = _NamelessFile()
    filed = {}
    for name, tensor in tensors.items():
        if name.startswith(CODEC_PREFIX):
            filed[name] = _FiledTensor(file, file.stream.tell(), tensor.shape)
            tensor.write(file.stream)
    file.stream.flush()
    return filed


def _is_table(name: str, shape: Shape) -> bool:
    return "input_embeds_layer" in name and len(shape) == 2


def _distribution(name: str, shape: Shape) -> tuple[np.float32, float]:
    """Mean and standard deviation."""
    if name.endswith("bias") or ".lstm.bias" in name:
        return np.float32(0), 0.05
    if len(shape) == 1:
        return np.float32(1), 0.05
    if "embed" in name and len(shape) == 2:
        return np.float32(0), 0.3
    return np.float32(0), 1.0 / math.sqrt(math.prod(shape[1:]))

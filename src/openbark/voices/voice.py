"""A voice: the semantic, coarse and fine tokens of some speech, which a request continues from.

Checks arrays against a model's sizes. How a file holds them is `openbark.voices.npz`; folders of files are
`openbark.voices.library`.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from openbark.config import BarkConfig
from openbark.errors import VoiceError
from openbark.files import expanded
from openbark.types import Tokens
from openbark.voices.npz import ARRAY_KEYS, check_keys, check_tokens, read_npz, write_npz

_RESERVED = frozenset(
    ("con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10)))
)
"""File names that mean devices on Windows, whatever their suffix."""

_NAME = re.compile(r"[\w-][\w .-]*(/[\w-][\w .-]*)*")

_MAX_NAME = 120


VoiceLike: TypeAlias = "str | os.PathLike[str] | Voice | Mapping[str, Any]"
"""A name, the path of an `.npz`, a Voice, or Suno's dictionary of three arrays (docs/parity.md S39)."""


@dataclass(frozen=True, eq=False)
class Voice:
    """Three token arrays, int64 and read-only, and where they come from.

    semantic: [T]; coarse: codes [k, F] of the first codebooks; fine: codes [K, F] of all of them.
    metadata: text about the voice (language, origin, licence, consent, ...); carried, never interpreted.

    Raises VoiceError for arrays of another dimension or dtype. `validate` checks them against a model.
    """

    semantic: Tokens
    coarse: Tokens
    fine: Tokens
    name: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for field_name in ARRAY_KEYS:
            array = _tokens(field_name, getattr(self, field_name), self._label)
            object.__setattr__(self, field_name, array)
        object.__setattr__(self, "metadata", MappingProxyType(dict(self.metadata)))

    @classmethod
    def from_arrays(
        cls,
        arrays: Mapping[str, Any],
        name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Voice:
        """A voice from Suno's dictionary of `semantic_prompt`, `coarse_prompt` and `fine_prompt` (docs/parity.md S39).

        Raises VoiceError naming the keys that are missing. Further keys are not looked at.
        """
        check_keys(arrays, f"voice {name!r}" if name else "the voice")
        fields = {field_name: arrays[key] for field_name, key in ARRAY_KEYS.items()}
        return cls(**fields, name=name, metadata=metadata or {})

    @classmethod
    def load(cls, path: str | os.PathLike[str], name: str | None = None) -> Voice:
        """Read a voice file; `name` defaults to the file's stem.

        Arrays other than the three and our metadata are left alone. Raises VoiceError when the file is
        missing, is not an npz, lacks an array, holds pickled objects, or is too large.
        """
        source = expanded(path)
        content = read_npz(source)
        return cls.from_arrays(content.arrays, name or source.stem, content.metadata)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a voice file (`.npz`) that Suno's loaders read too. Raises VoiceError when it cannot."""
        arrays = {key: getattr(self, field_name) for field_name, key in ARRAY_KEYS.items()}
        write_npz(expanded(path), arrays, self.metadata)

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits of SHA-256 over the three arrays: the same tokens, the same digits."""
        digest = hashlib.sha256()
        for field_name in ARRAY_KEYS:
            array: Tokens = getattr(self, field_name)
            digest.update(f"{field_name} {array.shape}".encode())
            digest.update(array.astype("<i8").tobytes())
        return digest.hexdigest()[:16]

    def __reduce__(self) -> tuple[Any, ...]:
        """For other processes: the view of the metadata cannot travel, its content can."""
        return Voice, (self.semantic, self.coarse, self.fine, self.name, dict(self.metadata))

    def __repr__(self) -> str:
        return (
            f"<Voice {self.name!r}: {len(self.semantic)} semantic tokens, {self.n_frames} frames of "
            f"{len(self.fine)} codebooks>"
        )

    @property
    def _label(self) -> str:
        return f"voice {self.name!r}" if self.name else "the voice"

    @property
    def n_frames(self) -> int:
        """Codec frames."""
        return int(self.fine.shape[1])

    def seconds(self, config: BarkConfig) -> float:
        """Length of the speech it was made from, in seconds."""
        return self.n_frames / config.coarse_rules.rate_hz

    def validate(self, config: BarkConfig) -> None:
        """Raise VoiceError unless the model can continue from this voice.

        Names the field, what was found, what is allowed and what to do (S31, S37, S41).
        """
        size = config.codebook_size
        self._check_rows("coarse", config.coarse_rules.n_codebooks, config)
        self._check_rows("fine", config.fine_rules.n_codebooks, config)
        self._check_range("semantic", config.semantic_rules.semantic_vocab_size, config)
        self._check_range("coarse", size, config)
        self._check_range("fine", size, config)
        n_coarse = self.coarse.shape[1]
        if self.n_frames != n_coarse:
            raise VoiceError(
                f"{self._label}: coarse has {n_coarse} frames and fine {self.n_frames}; "
                "both must hold the same frames"
            )
        if not np.array_equal(self.coarse, self.fine[: len(self.coarse)]):
            raise VoiceError(
                f"{self._label}: coarse differs from the first {len(self.coarse)} rows of fine; "
                "they must be the same codes, so take coarse from fine"
            )
        found = round(n_coarse / len(self.semantic), 1)
        expected = round(config.frames_per_semantic, 1)
        if found != expected:
            raise VoiceError(
                f"{self._label}: {n_coarse} frames for {len(self.semantic)} semantic tokens are "
                f"{found} frames per token, {config.name} needs {expected}; all three arrays must cover "
                "the same stretch of time, of a second or more"
            )

    def _check_rows(self, field_name: str, expected: int, config: BarkConfig) -> None:
        array = getattr(self, field_name)
        if len(array) != expected:
            raise VoiceError(
                f"{self._label}: {field_name} has {len(array)} codebooks, {config.name} needs {expected}; "
                "the voice belongs to another model"
            )

    def _check_range(self, field_name: str, size: int, config: BarkConfig) -> None:
        array: Tokens = getattr(self, field_name)
        if array.size == 0:
            raise VoiceError(f"{self._label}: {field_name} is empty; it must hold some tokens")
        low, high = int(array.min()), int(array.max())
        if low < 0 or high >= size:
            raise VoiceError(
                f"{self._label}: {field_name} holds {low if low < 0 else high}, {config.name} has "
                f"0..{size - 1}; the voice belongs to another model, or its codes carry offsets"
            )


def _tokens(field_name: str, values: object, label: str) -> Tokens:
    array = np.asarray(values)
    check_tokens(field_name, array.shape, array.dtype, label)
    if array.dtype == np.uint64:
        # Beyond int64 a token is out of every range; it must not wrap into one.
        array = np.minimum(array, np.uint64(np.iinfo(np.int64).max))
    tokens: Tokens = array.astype(np.int64)
    tokens.flags.writeable = False
    return tokens


def check_name(name: str) -> str:
    """`name` itself, where a file may be named after it: words, digits, `.`, `-`, and `/` between folders.

    Raises VoiceError for every other name, those that would leave a folder included.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > _MAX_NAME:
        raise VoiceError(
            f"{name!r} cannot name a voice file; use up to {_MAX_NAME} letters, digits, '_', '-', '.', "
            "and '/' between folders"
        )
    return name


def check_new_name(name: str) -> str:
    """`check_name` for a name that is given now: it must also be usable on every system and in every command.

    Raises VoiceError for names of devices (CON, NUL), and parts that begin with `-` or end with a dot or a space.
    """
    for part in check_name(name).split("/"):
        if part.startswith("-"):
            raise VoiceError(f"{name!r} begins with '-', as options do; choose another name")
        if part.partition(".")[0].strip().lower() in _RESERVED:
            raise VoiceError(f"{name!r} is the name of a device on Windows; choose another name")
        if part != part.rstrip(". "):
            raise VoiceError(f"{name!r} ends with a dot or a space; choose another name")
    return name

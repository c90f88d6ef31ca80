"""From the tensors that are stored to the tensors a config asks for, and every way they can disagree.

Accepts each spelling of weight norm, ignores what transformers stores in addition (masks, tied heads, codebook
statistics) and nothing else: a missing, misshapen or unknown tensor is an error that names it. Knows no file
format beyond `StoredTensor`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openbark.checkpoints.formats.stored_tensor import StoredTensor
from openbark.checkpoints.layouts.shapes import (
    Shape,
    expected_shapes,
    fine_head_aliases,
    weight_normed,
)
from openbark.checkpoints.layouts.weight_norm import fold, spellings
from openbark.config import BarkConfig
from openbark.errors import CheckpointCorruptError, CheckpointUnsupportedError

_FORGIVEN = re.compile(
    r"(semantic|coarse_acoustics|fine_acoustics)\.layers\.\d+\.attn\.bias"
    r"|codec_model\.quantizer\.layers\.\d+\.codebook\.(embed_avg|cluster_size|inited)"
)
_NAMED_AT_MOST = 8


@dataclass(frozen=True, slots=True)
class Source:
    """Where a tensor comes from: one stored tensor, or the two of weight norm (g, v)."""

    parts: tuple[StoredTensor, ...]

    def read(self) -> NDArray[np.float32]:
        """The tensor as float32, weight norm folded. Raises CheckpointCorruptError where its parts are not
        numbers, or too large for folding."""
        if len(self.parts) == 1:
            return self.parts[0].read()
        g, v = self.parts
        with np.errstate(over="ignore", invalid="ignore"):
            folded = fold(g.read(), v.read())
        if not np.isfinite(folded).all():
            raise CheckpointCorruptError(
                f"{v.file}: tensor {v.name} holds numbers that are not finite; fetch the file again"
            )
        return folded


def part_of(name: str) -> str:
    """The network a tensor belongs to: "semantic", "coarse_acoustics", "fine_acoustics", "codec_model", ..."""
    return name.partition(".")[0]


def locate(
    stored: Mapping[str, StoredTensor],
    config: BarkConfig,
    directory: Path,
    parts: Collection[str] | None = None,
) -> dict[str, Source]:
    """Expected name -> where it is stored. Reads no data. `parts`: the only ones to look at ("semantic",
    "codec_model", ...), by default all that the config has.

    Raises CheckpointCorruptError naming the tensors that are missing, of another shape (found and
    expected), or that the config has no place for.
    """
    expected = expected_shapes(config)
    if parts is not None:
        expected = {name: shape for name, shape in expected.items() if part_of(name) in parts}
        stored = {name: tensor for name, tensor in stored.items() if part_of(name) in parts}
    normed = weight_normed(config)
    sources: dict[str, Source] = {}
    missing: list[str] = []
    for name, shape in expected.items():
        source = _source(stored, name, name in normed)
        if source is None:
            missing.append(name)
            continue
        _check_shapes(source, shape)
        sources[name] = source
    if missing:
        raise CheckpointCorruptError(
            f"{directory} lacks {len(missing)} of {len(expected)} tensors: {_some(missing)}; "
            "fetch the folder again, or correct the sizes in its config"
        )
    used = {part.name for source in sources.values() for part in source.parts}
    heads = fine_head_aliases(config.fine)
    unknown = sorted(
        name
        for name in stored
        if name not in used and name not in heads and not _FORGIVEN.fullmatch(name)
    )
    if unknown:
        raise CheckpointCorruptError(
            f"{directory} holds {len(unknown)} tensors that its config has no place for: "
            f"{_some(unknown)}; correct the sizes there (number of layers, codec), or fetch the folder again"
        )
    return sources


def check_tied_heads(stored: Mapping[str, StoredTensor], config: BarkConfig) -> None:
    """Fine heads that are stored must equal the embeddings they are tied to (docs/parity.md S22, C2)."""
    for alias, name in fine_head_aliases(config.fine).items():
        if alias not in stored:
            continue
        head, embedding = stored[alias], stored[name]
        if head.shape != embedding.shape or not np.array_equal(head.read(), embedding.read()):
            raise CheckpointUnsupportedError(
                f"{head.file}: {alias} differs from {name}; "
                "only fine models whose heads are their embeddings are known"
            )


def _source(stored: Mapping[str, StoredTensor], name: str, normed: bool) -> Source | None:
    if name in stored:
        return Source((stored[name],))
    if normed:
        for pair in spellings(name):
            if all(part in stored for part in pair):
                return Source(tuple(stored[part] for part in pair))
    return None


def _check_shapes(source: Source, shape: Shape) -> None:
    expected = [shape]
    if len(source.parts) == 2:
        lengths = (shape[0],) + (1,) * (len(shape) - 1)
        expected = [lengths, shape]
    for part, wanted in zip(source.parts, expected, strict=True):
        if part.shape != wanted:
            raise CheckpointCorruptError(
                f"{part.file}: tensor {part.name} has shape {list(part.shape)}, "
                f"its config asks for {list(wanted)}; one of the two belongs to another model"
            )


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:_NAMED_AT_MOST])
    more = len(names) - _NAMED_AT_MOST
    return f"{shown} and {more} more" if more > 0 else shown

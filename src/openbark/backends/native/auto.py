"""The precision that fits: int8 where it draws what float32 draws, float32 everywhere else.

What "draws the same" means is `openbark.backends.agreement`: both see the same sequences, and the probability that
the same number draws the same token must be at least LEAST_OVERLAP on average, in every stage. The exact side is
`openbark.backends.plain`, so that checking takes no second copy of the weights. Done once for each checkpoint,
variant of the kernels and build of the library; the result is kept beside the packed weights.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openbark.backends.agreement import Agreement, agreement
from openbark.backends.native.backend import NativeBackend
from openbark.backends.native.library import Pool
from openbark.backends.native.packed_files import is_large, packed_file_for
from openbark.backends.native.structs import Precision
from openbark.backends.plain import PlainNetworks
from openbark.checkpoints.checkpoint import Checkpoint
from openbark.checkpoints.convert import Announce
from openbark.checkpoints.layouts.shapes import COARSE_PREFIX, FINE_PREFIX, SEMANTIC_PREFIX
from openbark.files import write_atomically
from openbark.stages.sampling import Stage
from openbark.stages.semantic import Prompt
from openbark.types import Tokens

LEAST_OVERLAP = 0.9
"""At 0.88 (int4) the embedded model still has the word error rate of float32; see docs/native.md."""

_LOG = logging.getLogger(__name__)
_PREFIXES = (SEMANTIC_PREFIX, COARSE_PREFIX, FINE_PREFIX)
_FAST_INT8 = ("avx512", "avx2", "neon")


class EngineRows:
    """The compiled engine as a `RowSource`."""

    def __init__(self, backend: NativeBackend) -> None:
        self._backend = backend

    def causal_rows(self, stage: Stage, prompt: Prompt, tokens: Tokens) -> NDArray[np.float64]:
        """Logits [N + 1, V] after the prompt and after each of the tokens [N]."""
        session = self._backend.session(stage)
        rows = [session.prefill(prompt), *(session.step(token) for token in tokens.tolist())]
        return np.stack(rows).astype(np.float64)

    def fine_rows(self, codes: Tokens, k: int) -> NDArray[np.float64]:
        """Logits [F, V] of codebook k for codes [K, F]."""
        return self._backend.fine_logits(codes, k).astype(np.float64)


def load_auto(
    checkpoint: Checkpoint,
    threads: int | None = None,
    kernels: str | None = None,
    announce: Announce = _LOG.info,
) -> NativeBackend:
    """Load in int8 where that pays and agrees, else in float32; `NativeBackend.dtype` says which.

    Small models gain little and stay exact, as do checkpoints without all three transformers. announce:
    gets a line before the comparison, which takes seconds. Raises what `NativeBackend.load` raises.
    """
    pool = Pool(threads, kernels)
    if pool.kernels in _FAST_INT8 and is_large(checkpoint, _PREFIXES):
        backend = NativeBackend.load(checkpoint, "int8", threads, kernels)
        found = _recorded_or_measured(checkpoint, backend, pool, announce)
        if all(stage["overlap"] >= LEAST_OVERLAP for stage in found.values()):
            return backend
        _LOG.warning(
            "%s is computed in float32: int8 would draw other tokens too often (%s; %.2f is needed); "
            "dtype='int8' insists on it",
            checkpoint.directory,
            ", ".join(f"{name} {stage['overlap']:.3f}" for name, stage in found.items()),
            LEAST_OVERLAP,
        )
    return NativeBackend.load(checkpoint, "float32", threads, kernels)


def _recorded_or_measured(
    checkpoint: Checkpoint,
    backend: NativeBackend,
    pool: Pool,
    announce: Announce,
) -> Mapping[str, Mapping[str, float]]:
    file = packed_file_for(checkpoint, _PREFIXES, pool, Precision.INT8)
    record = None if file is None else file.agreement_path
    found = _read(record)
    if found is None:
        announce(
            f"{checkpoint.directory}: comparing int8 with float32"
            + (" (kept for the next start)" if record else "")
        )
        measured = agreement(PlainNetworks(checkpoint), EngineRows(backend), checkpoint.config)
        found = {name: asdict(stage) for name, stage in measured.items()}
        _write(record, found)
    return found


def _read(record: Path | None) -> dict[str, dict[str, float]] | None:
    """A record that is whole; anything else is measured again."""
    if record is None or not record.is_file():
        return None
    try:
        found = json.loads(record.read_text(encoding="utf-8"))
        checked = {
            name: {field: float(value) for field, value in asdict(Agreement(**stage)).items()}
            for name, stage in found.items()
        }
    except (OSError, ValueError, TypeError, AttributeError) as error:
        _LOG.warning("%s is not used (%s); comparing again", record, error)
        return None
    return checked if set(checked) == {"semantic", "coarse", "fine"} else None


def _write(record: Path | None, found: Mapping[str, Any]) -> None:
    if record is None:
        return
    try:
        record.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(record, json.dumps(found).encode())
    except OSError as error:
        _LOG.warning("the comparison is not kept: %s", error)

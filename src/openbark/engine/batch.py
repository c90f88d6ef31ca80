"""Several requests at once on the calling thread: each gets what it would get alone. Knows no text."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from openbark.backends.base import Backend
from openbark.config import BarkConfig
from openbark.engine.engine import Engine
from openbark.engine.request import CascadeResult, Progress, Request
from openbark.errors import ParamError

__all__ = ["Many", "batch_progress", "refuse_lists", "run_batch", "spread"]

_Value = TypeVar("_Value")

Many = list[_Value] | tuple[_Value, ...]
"""One value for each of several texts."""


def run_batch(
    backend: Backend,
    requests: Sequence[Request],
    max_batch: int = 16,
    finished: Callable[[CascadeResult], None] | None = None,
) -> list[CascadeResult]:
    """Results of all requests, in their order; at most `max_batch` run at a time, and the next one takes the
    place of each that ends. finished: told each result, in order, once it is there.

    Raises the error of the first request in order that failed, with a note saying which one; the others are
    cancelled then.
    """
    with Engine(
        backend,
        max_batch=max_batch,
        max_queued=max(len(requests), 1),
        max_queued_seconds=math.inf,
    ) as engine:
        handles = [engine.submit(request) for request in requests]
        results = []
        for index, handle in enumerate(handles):
            try:
                results.append(handle.result())
            except Exception as error:
                error.add_note(f"this was text number {index} of {len(handles)}, counted from 0")
                raise
            if finished is not None:
                finished(results[-1])
    return results


def spread(name: str, value: _Value | Many[_Value], n: int) -> Sequence[_Value]:
    """One value for each of n texts; a range and an array [n] count as lists. Raises ParamError for a list of
    another length."""
    if isinstance(value, Iterable) and (isinstance(value, range) or getattr(value, "ndim", 0) == 1):
        value = list(value)
    if not isinstance(value, (list, tuple)):
        return [value] * n
    if len(value) != n:
        raise ParamError(
            f"{name} has {len(value)} values for {n} texts; allowed: one value, or {n} of them"
        )
    return value


def batch_progress(
    config: BarkConfig, progress: Progress | None
) -> Callable[[CascadeResult], None] | None:
    """Adds up the seconds of finished clips for whoever watches a batch."""
    if progress is None:
        return None
    n_frames = 0

    def finished(result: CascadeResult) -> None:
        nonlocal n_frames
        n_frames += result.fine.shape[1]
        progress("batch", n_frames / config.coarse_rules.rate_hz, None)

    return finished


def refuse_lists(values: Mapping[str, object]) -> None:
    """Raise ParamError for a list, by its name, where there is one text."""
    for name, value in values.items():
        if isinstance(value, (list, tuple)):
            raise ParamError(
                f"{name} is a list and the text is not; give as many texts, such as [text] * {len(value)}"
            )

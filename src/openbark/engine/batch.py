"""Several requests at once on the calling thread: each gets what it would get alone. Knows no text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from openbark.config import BarkConfig
from openbark.engine.engine import Engine
from openbark.engine.handle import Handle
from openbark.engine.request import CascadeResult, Request
from openbark.errors import ParamError
from openbark.types import Progress

_Value = TypeVar("_Value")

_AHEAD = 48
"""Requests submitted beyond the first that is not done: three times the engine's usual batch."""

Many = list[_Value] | tuple[_Value, ...]
"""One value for each of several texts."""


def run_batch(
    engine: Engine,
    requests: Sequence[Request],
    finished: Callable[[CascadeResult], None] | None = None,
) -> list[CascadeResult]:
    """Results of all requests, in their order. They share the engine's batches with whatever else runs on it.

    finished: called with each result, in order, as soon as it and those before it exist.
    Raises the error of the first request in order that failed, with a note that names it; the others are cancelled.
    """
    handles: list[Handle] = []
    results: list[CascadeResult] = []
    try:
        for request in requests:
            # Few wait at a time, so that results are passed on while later requests still queue.
            if len(handles) - len(results) == _AHEAD:
                results.append(_result(handles, len(results), len(requests)))
                _tell(finished, results[-1])
            handles.append(engine.submit(request, wait=True))
        while len(results) < len(requests):
            results.append(_result(handles, len(results), len(requests)))
            _tell(finished, results[-1])
    finally:
        for handle in handles:
            handle.cancel()
    return results


def _result(handles: Sequence[Handle], index: int, n: int) -> CascadeResult:
    try:
        return handles[index].result()
    except Exception as error:
        error.add_note(f"this was text number {index} of {n}, counted from 0")
        raise


def _tell(finished: Callable[[CascadeResult], None] | None, result: CascadeResult) -> None:
    if finished is not None:
        finished(result)


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
    """Reports the summed seconds of finished clips as progress of the batch."""
    if progress is None:
        return None
    n_frames = 0

    def finished(result: CascadeResult) -> None:
        nonlocal n_frames
        n_frames += result.fine.shape[1]
        progress("batch", n_frames / config.coarse_rules.rate_hz, None)

    return finished


def refuse_list(name: str, value: _Value | Many[_Value]) -> _Value:
    """The one value for one text. Raises ParamError for a list, by its name."""
    if isinstance(value, (list, tuple)):
        raise ParamError(
            f"{name} is a list and the text is not; give as many texts, such as [text] * {len(value)}"
        )
    return value

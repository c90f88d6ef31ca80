"""Several requests at once on the calling thread: each gets what it would get alone. Knows no text."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from openbark.backends.base import Backend
from openbark.engine.engine import Engine
from openbark.engine.request import CascadeResult, Request

__all__ = ["run_batch"]


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

"""What a caller holds of a request that was submitted: its result, a way to stop it, its audio as it comes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import Future, InvalidStateError
from typing import Any

import numpy as np

from openbark.backends.base import Flag
from openbark.engine.request import CascadeResult, Request, Waveform

__all__ = ["Handle"]


class Handle:
    """One submitted request.

    Waiting for it, by `result`, `stream` or `await`, moves an engine that has no thread of its own.
    """

    def __init__(
        self, request: Request, seconds: float, drive: Callable[[], bool], start: Callable[[], None]
    ) -> None:
        """seconds: estimated audio. drive: one step of the engine, False when it moves by itself or has
        nothing to do. start: makes it move by itself."""
        self.request = request
        self.seconds = seconds
        self.flag: Flag = np.zeros(1, dtype=np.int32)
        self._future: Future[CascadeResult] = Future()
        self._drive = drive
        self._start = start

    @property
    def done(self) -> bool:
        """Whether there is a result or an error."""
        return self._future.done()

    def result(self, timeout: float | None = None) -> CascadeResult:
        """Wait for the result. Raises what the request failed with, CancelledError when it was stopped, or
        TimeoutError after `timeout` seconds, while the request goes on."""
        self._wait(timeout)
        return self._future.result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the end, and what the request failed with; None after a success."""
        self._wait(timeout)
        return self._future.exception(timeout)

    def cancel(self) -> None:
        """Stop the request before its next step, from any thread; nothing happens once it is done."""
        self.flag[0] = 1

    def add_done_callback(self, call: Callable[[Handle], None]) -> None:
        """Call `call(self)` at the end, on the engine's thread; at once when it is done."""
        self._future.add_done_callback(lambda _: call(self))

    def stream(self) -> Iterator[Waveform]:
        """Float32 samples [L] as they are made, whose concatenation is the result's waveform. Leaving the loop
        early cancels the request."""
        try:
            yield self.result().waveform
        finally:
            self.cancel()

    async def astream(self) -> AsyncIterator[Waveform]:
        """`stream` for async code."""
        try:
            yield (await self).waveform
        finally:
            self.cancel()

    def __await__(self) -> Generator[Any, None, CascadeResult]:
        """Wait in async code; cancelling the task that waits cancels the request."""
        self._start()
        return self._wait_async().__await__()

    async def _wait_async(self) -> CascadeResult:
        try:
            return await asyncio.shield(asyncio.wrap_future(self._future))
        except asyncio.CancelledError:
            self.cancel()
            raise

    def _wait(self, timeout: float | None) -> None:
        until = None if timeout is None else time.monotonic() + timeout
        while not self.done and self._drive():
            if until is not None and time.monotonic() > until:
                return

    def settle(self, result: CascadeResult | BaseException) -> None:
        """End the request; for the engine alone. The first end counts."""
        try:
            if isinstance(result, BaseException):
                self._future.set_exception(result)
            else:
                self._future.set_result(result)
        except InvalidStateError:
            return

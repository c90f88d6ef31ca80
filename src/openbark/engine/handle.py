"""What a caller holds of a request that was submitted: its result, a way to stop it, its audio as it comes."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import Any

import numpy as np

from openbark.backends.base import Flag
from openbark.engine.request import CascadeResult, Request
from openbark.errors import CancelledError
from openbark.forks import tell_after_fork
from openbark.types import Waveform


class Handle:
    """One submitted request.

    Waiting for it, by `result`, `stream` or `await`, moves an engine that has no thread of its own. Audio waits here
    until it is taken, a clip at most: a slow reader does not delay other requests.
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
        self._outcome: CascadeResult | BaseException | None = None
        self._drive = drive
        self._start = start
        self._news = threading.Condition()  # guards the three below
        self._blocks: list[Waveform] = []
        self._has_handed = False
        self._listeners: list[Callable[[], None]] = []
        tell_after_fork(self)

    def after_fork(self) -> None:
        """In the child of a fork a request that was not done fails: it runs in the parent alone."""
        self._news = threading.Condition()
        self._listeners = []
        self._future = Future()
        elsewhere = CancelledError(
            "the request runs in the process that submitted it, not in this child of a fork; submit it here again"
        )
        self._set(self._outcome or elsewhere)

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
        early cancels the request. With latency "low" there are several, else one. Each block goes to one taker."""
        try:
            while self.wait_audio():
                yield from self.take_audio()
            self.result()
        finally:
            self.cancel()

    async def astream(self) -> AsyncIterator[Waveform]:
        """`stream` for async code."""
        self._start()
        loop, news = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # a loop that was closed in the meantime
                loop.call_soon_threadsafe(news.set)

        with self._news:
            self._listeners.append(wake)
        try:
            while True:
                ended = self.done
                for block in self.take_audio():
                    yield block
                if ended:
                    break
                await news.wait()
                news.clear()
            await self
        finally:
            self._listeners.remove(wake)
            self.cancel()

    def take_audio(self) -> list[Waveform]:
        """The blocks [L] that are there and were not taken yet."""
        with self._news:
            new, self._blocks = self._blocks, []
        return new

    def wait_audio(self, timeout: float | None = None) -> bool:
        """Wait until there is a block to take, or the end, `timeout` seconds at most: whether there is a block."""
        until = None if timeout is None else time.monotonic() + timeout
        while not self._has_news() and self._drive():
            if until is not None and time.monotonic() > until:
                break
        with self._news:
            left = None if until is None else max(0.0, until - time.monotonic())
            self._news.wait_for(self._has_news, left)
            return bool(self._blocks)

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

    def _has_news(self) -> bool:
        return self.done or bool(self._blocks)

    def publish(self, block: Waveform) -> None:
        """Give out samples [L], for the engine alone; nothing happens for none."""
        if len(block):
            self._tell(block)

    def complete(self, result: CascadeResult | BaseException) -> None:
        """End the request; for the engine alone. The first end counts."""
        if isinstance(result, CascadeResult) and not self._has_handed:
            self.publish(result.waveform)
        with suppress(InvalidStateError):
            self._set(result)
            self._tell()

    def _set(self, result: CascadeResult | BaseException) -> None:
        if isinstance(result, BaseException):
            self._future.set_exception(result)
        else:
            self._future.set_result(result)
        self._outcome = result

    def _tell(self, *blocks: Waveform) -> None:
        with self._news:
            self._blocks.extend(blocks)
            self._has_handed |= bool(blocks)
            self._news.notify_all()
            listeners = list(self._listeners)
        for wake in listeners:
            wake()

"""The engine as one utterance uses it: few of its pieces at a time, and one where others are spoken too.

A long text has several pieces in the works, so that its listener never waits. Where others are spoken besides, each
of them would wait for all of these: further pieces are kept back here, and submitted when the ones before are done.
Used by the thread of one utterance, but for `is_crowded`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from openbark.engine.engine import Engine
from openbark.engine.request import CascadeResult, Request
from openbark.errors import BusyError, CancelledError
from openbark.longform.run import PieceHandle
from openbark.types import Waveform

# As many as a step computes for little more than one takes; more would keep a newcomer waiting.
_ALONE = 4
_CROWDED = 1


class PieceLane:
    """A `PieceEngine` of one utterance. is_crowded: whether others are spoken now."""

    def __init__(self, engine: Engine, is_crowded: Callable[[], bool]) -> None:
        self.backend = engine.backend
        self._engine = engine
        self._is_crowded = is_crowded
        self._running: list[_Handle] = []
        self._waiting: list[_Handle] = []
        self._first_place: dict[int, int] = {}

    def submit(self, request: Request) -> PieceHandle:
        """Take a piece; it is computed when its turn comes. Raises BusyError when the engine is closed."""
        # Another attempt at a piece comes before the pieces after it: it is the same array of tokens.
        place = self._first_place.setdefault(id(request.text_tokens), len(self._first_place))
        handle = _Handle(self, request, place)
        self._waiting.append(handle)
        self._waiting.sort(key=lambda each: each.place)
        self.move_up()
        if handle.error is not None:
            raise handle.error
        return handle

    def step(self) -> bool:
        """As `Engine.step`."""
        self.move_up()
        return self._engine.step()

    def move_up(self) -> None:
        """Submit what may be computed now."""
        self._running = [each for each in self._running if not each.done]
        most = _CROWDED if self._is_crowded() else _ALONE
        while self._waiting and len(self._running) < most:
            handle = self._waiting.pop(0)
            if handle.done:
                continue
            try:
                handle.inner = self._engine.submit(handle.request)
            except BusyError as error:
                handle.error = error
            else:
                self._running.append(handle)

    def wait(self, timeout: float | None) -> None:
        """Wait until a piece that is computed now is done, and submit what follows."""
        if self._running and self._running[0].inner is not None:
            # What it fails with is found by the one that waits for it.
            with suppress(Exception):
                self._running[0].inner.result(timeout)
        self.move_up()


class _Handle:
    """A piece that may still wait in its lane."""

    def __init__(self, lane: PieceLane, request: Request, place: int) -> None:
        self._lane = lane
        self.request = request
        self.place = place
        self.inner: PieceHandle | None = None
        self.error: Exception | None = None

    @property
    def done(self) -> bool:
        """Whether there is a result or an error."""
        return self.error is not None or (self.inner is not None and self.inner.done)

    def result(self, timeout: float | None = None) -> CascadeResult:
        """The result, or what the piece failed with; TimeoutError."""
        if self.inner is None and self.error is None:
            self._lane.wait(timeout)
        if self.error is not None:
            raise self.error
        if self.inner is None:
            raise TimeoutError
        return self.inner.result(timeout)

    def cancel(self) -> None:
        """Stop it."""
        if self.inner is not None:
            self.inner.cancel()
        elif self.error is None:
            self.error = CancelledError("the request was cancelled")

    def take_audio(self) -> list[Waveform]:
        """Its blocks that were not taken yet."""
        return [] if self.inner is None else self.inner.take_audio()

"""Pieces of one utterance in the engine: several alone, one beside others, another attempt first."""

from __future__ import annotations

import numpy as np
import pytest

from openbark.engine.request import Request
from openbark.errors import BusyError, CancelledError
from openbark.params import GenerationParams
from openbark.server.speakers.lanes import PieceLane


class Piece:
    """A piece in an engine that is done when a test says so."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.done = False

    def result(self, timeout: float | None = None) -> object:
        if not self.done:
            raise TimeoutError
        return self.request.seed

    def cancel(self) -> None:
        self.done = True

    def take_audio(self) -> list[object]:
        return []


class FakeEngine:
    """Takes pieces, and computes none."""

    backend = None

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.closed = False

    def submit(self, request: Request) -> Piece:
        if self.closed:
            raise BusyError("closed")
        self.pieces.append(Piece(request))
        return self.pieces[-1]

    def step(self) -> bool:
        return False

    @property
    def running(self) -> list[int]:
        return [piece.request.seed for piece in self.pieces if not piece.done]

    def end(self, seed: int) -> None:
        next(piece for piece in self.pieces if piece.request.seed == seed).done = True


def request(seed: int, tokens: np.ndarray | None = None) -> Request:
    given = np.arange(3) if tokens is None else tokens
    return Request(given, GenerationParams().resolve(GenerationParams()), seed)


def test_others_have_to_wait_for_few_pieces() -> None:
    engine, crowded = FakeEngine(), False
    lane = PieceLane(engine, lambda: crowded)  # type: ignore[arg-type]
    handles = [lane.submit(request(seed)) for seed in range(8)]
    assert engine.running == [0, 1, 2, 3]
    crowded = True
    engine.end(0)
    lane.step()
    assert engine.running == [1, 2, 3]
    for seed in (1, 2, 3):
        engine.end(seed)
    lane.step()
    assert engine.running == [4]
    assert handles[3].result() == 3
    engine.end(4)
    crowded = False
    lane.step()
    assert engine.running == [5, 6, 7]


def test_another_attempt_comes_before_the_pieces_after_it() -> None:
    engine = FakeEngine()
    lane = PieceLane(engine, lambda: True)  # type: ignore[arg-type]
    first = np.arange(3)
    lane.submit(request(0, first))
    lane.submit(request(1))
    lane.submit(request(2))
    engine.end(0)
    lane.submit(request(3, first))
    assert engine.running == [3]


def test_a_piece_that_waits_can_be_cancelled_and_waited_for() -> None:
    engine = FakeEngine()
    lane = PieceLane(engine, lambda: True)  # type: ignore[arg-type]
    lane.submit(request(0))
    waiting, other = lane.submit(request(1)), lane.submit(request(2))
    with pytest.raises(TimeoutError):
        waiting.result(0.0)
    waiting.cancel()
    assert waiting.done
    with pytest.raises(CancelledError):
        waiting.result()
    engine.end(0)
    with pytest.raises(TimeoutError):
        other.result(0.0)
    assert engine.running == [2]


def test_an_engine_that_is_closed_is_told_at_once() -> None:
    engine = FakeEngine()
    engine.closed = True
    lane = PieceLane(engine, lambda: False)  # type: ignore[arg-type]
    with pytest.raises(BusyError):
        lane.submit(request(0))

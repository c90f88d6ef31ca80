"""Gauges and counters of an engine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EngineStats:
    """Gauges and counters of an engine at one moment.

    queued: requests that wait; queued_seconds: their estimated audio. running: requests being decoded, of
    which `semantic`, `coarse`, `fine` and `codec` are in that stage. Then totals since the engine was made;
    audio_seconds: of the finished ones; busy_seconds: of work; turns, drawn_rows: decode batches, and sequences that
    took part in them.
    """

    queued: int
    queued_seconds: float
    running: int
    semantic: int
    coarse: int
    fine: int
    codec: int
    finished: int
    failed: int
    cancelled: int
    rejected: int
    audio_seconds: float
    busy_seconds: float
    turns: int
    drawn_rows: int


@dataclass(eq=False)
class Counts:
    """The totals of `EngineStats`, while they are counted."""

    finished: int = 0
    failed: int = 0
    cancelled: int = 0
    rejected: int = 0
    turns: int = 0
    drawn_rows: int = 0
    busy_seconds: float = 0.0

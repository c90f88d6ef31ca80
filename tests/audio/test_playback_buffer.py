"""What is held back before playing begins: simulated work, a simulated clock, no gap afterwards."""

from __future__ import annotations

import numpy as np
import pytest

from openbark.audio.playback_buffer import PlaybackBuffer, seconds_to_hold

RATE = 1000


class Clock:
    now = 5.0

    def __call__(self) -> float:
        return self.now


def blocks(sizes: list[float]) -> list[np.ndarray]:
    return [np.full(round(size * RATE), index, np.float32) for index, size in enumerate(sizes)]


def play(sizes: list[float], rate: float, lead: float, expected: float) -> tuple[float, float]:
    """Seconds until playing begins, and the longest gap after that; `rate` s of work for each s of audio."""
    clock = Clock()
    buffer = PlaybackBuffer(RATE, expected, clock)
    clock.now += lead
    begins: float | None = None
    queued_until, gap = 0.0, 0.0
    for block in blocks(sizes):
        clock.now += rate * len(block) / RATE
        ready = buffer.push(block)
        if len(ready) == 0:
            continue
        if begins is None:
            begins = queued_until = clock.now
        gap = max(gap, clock.now - queued_until)
        queued_until = max(queued_until, clock.now) + len(ready) / RATE
    if begins is None:
        begins = clock.now
        assert len(buffer.finish())
    return begins - 5.0, gap


DOUBLING = [0.2, 0.4, 0.8, 1.6, 1.6, 1.6, 0.7]


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.6, 0.9, 1.2, 2.0])
@pytest.mark.parametrize("sizes", [DOUBLING, [0.5] * 12, [3.0, 2.0, 4.0]])
def test_what_is_held_outlasts_what_is_to_come(sizes: list[float], rate: float) -> None:
    begins, gap = play(sizes, rate, lead=0.1, expected=sum(sizes))
    assert gap < 1e-9
    assert begins <= 0.1 + rate * sum(sizes) + 1e-9


def test_quick_work_is_heard_at_its_first_block() -> None:
    begins, _ = play(DOUBLING, 0.05, lead=0.05, expected=sum(DOUBLING))
    assert begins == pytest.approx(0.05 + 0.05 * 0.2)


def test_nothing_is_lost_or_changed() -> None:
    clock = Clock()
    buffer = PlaybackBuffer(RATE, 3.0, clock)
    out = []
    for block in blocks(DOUBLING):
        clock.now += 1.5 * len(block) / RATE
        out.append(buffer.push(block))
    out.append(buffer.finish())
    assert np.array_equal(np.concatenate(out), np.concatenate(blocks(DOUBLING)))
    assert buffer.rate == pytest.approx(1.5)
    assert len(buffer.push(np.ones(3, np.float32))) == 3
    assert len(buffer.finish()) == 0


def test_a_slow_machine_is_not_waited_for_without_end() -> None:
    clock = Clock()
    buffer = PlaybackBuffer(RATE, 10_000.0, clock)
    n_held = 0
    while not buffer.is_playing:
        clock.now += 4.0
        buffer.push(np.zeros(2 * RATE, np.float32))
        n_held += 2
        assert n_held < 40
    assert n_held == 30


def test_what_has_to_be_held() -> None:
    assert seconds_to_hold(0.5, 2.0) == 1.0
    assert seconds_to_hold(0.5, 2.0, 100.0) == 1.0
    assert seconds_to_hold(0.6, 1.0, 2.0) == pytest.approx(0.8)
    assert seconds_to_hold(1.5, 2.0, 10.0) == 12.0

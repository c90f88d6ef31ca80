"""What a batch could gain, from work whose times are known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from openbark.backends.base import Drawn, DrawRun
from openbark.backends.native.library import library_path
from openbark.bench import ceiling
from openbark.bench.ceiling import SoloWork, StepMeter, ceiling_of
from openbark.bench.traffic import Traffic
from openbark.bench.workload import Workload
from openbark.checkpoints import open_checkpoint
from openbark.engine.cascade import run

pytestmark = pytest.mark.skipif(not library_path().exists(), reason="the CPU engine was not built")


def test_the_work_of_clips_alone_is_counted_by_kind_and_the_rest_is_arithmetic(
    tiny_checkpoint_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from openbark.backends.native.backend import NativeBackend

    backend = NativeBackend.load(open_checkpoint(tiny_checkpoint_dir), threads=1)
    traffic = Traffic(Workload("shape:tiny", 0.5, "none"), backend.config)
    requests = [traffic.request(number) for number in range(3)]
    work, meter = SoloWork(), StepMeter(backend, 3)
    results = [work.run(backend, request) for request in requests]
    for request, result in zip(requests, results, strict=True):
        np.testing.assert_array_equal(result.fine, run(backend, request).fine)
    assert all(seconds > 0 for seconds in work.seconds.values())
    drawn = {stage.name.lower(): count for stage, count in work.n_steps.items()}
    assert drawn == {
        "semantic": sum(len(result.semantic) for result in results),
        "coarse": sum(result.coarse.size for result in results),
    }

    def draw_batch(runs: Sequence[DrawRun]) -> list[Drawn]:
        # A step takes 1 s for one row and half a second more for each row beside it.
        firsts.append(runs[0].first_step)
        clock[0] += runs[0].n_steps * (0.5 + 0.5 * len(runs))
        return []

    clock, firsts = [0.0], []
    monkeypatch.setattr(ceiling.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(backend, "draw_batch", draw_batch)
    n_steps = sum(drawn.values())
    meter.open(requests[-1], work)
    for _ in range(20):
        meter.measure()
    assert max(firsts) < backend.config.semantic_rules.max_new_tokens
    work.seconds = {"prompts": 10.0, "draws": float(n_steps), "fine": 20.0, "codec": 0.0}
    work.draw_seconds = {stage: float(count) for stage, count in work.n_steps.items()}
    found = ceiling_of(work, meter)
    assert found.step_ms == {"semantic": 2000.0, "coarse": 2000.0}
    assert found.solo_step_ms == {"semantic": 1000.0, "coarse": 1000.0}
    total = 30.0 + n_steps
    assert found.draws_free == pytest.approx(total / 30.0)
    assert found.in_turn == pytest.approx(total / (30.0 + n_steps * 2 / 3))

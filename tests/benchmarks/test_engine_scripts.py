"""The scripts behind the engine's figures run, and end in one JSON document."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import agreement, latency, start
from openbark.backends.native.library import library_path

pytestmark = pytest.mark.skipif(not library_path().exists(), reason="no compiled engine")


def test_agreement_reports_every_stage(capsys: pytest.CaptureFixture[str]) -> None:
    assert agreement.main(["--models", "shape:tiny", "--dtypes", "int8,int4", "--seeds", "2"]) == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    for dtype in ("int8", "int4"):
        for stage in ("semantic", "coarse", "fine"):
            found = report["shape:tiny"][dtype][stage]
            assert 0 <= found["same_choice"] <= 1
            assert 0.5 < found["overlap"] < 1


def test_loading_is_timed_from_either_kind_of_memory(tiny_checkpoint_dir: Path) -> None:
    found = start.packed(str(tiny_checkpoint_dir), "int8", runs=1, cached=20, steps=4)
    assert set(found["load_seconds"]) == {"without", "first", "cached"}
    assert found["step_ms_in_memory"] > 0
    assert found["step_ms_mapped"] > 0


def test_latency_is_measured_with_its_distance(
    tiny_checkpoint_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--model", str(tiny_checkpoint_dir), "--voice", "none", "--runs", "1"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(latency, "SENTENCES", ("Why not go?",))
        assert latency.main([*arguments, "--threads", "1"]) in (0, 1)
    (row,) = json.loads(capsys.readouterr().out.splitlines()[-1])["sentences"]
    assert row["exact_tokens"] and row["blocks_are_result"] and row["strict_wav"]
    assert row["fine_equal"][:2] == [1.0, 1.0]


def test_a_player_waits_for_the_latest_block() -> None:
    assert latency.hold_seconds([1.0, 1.5, 3.0], [0.2, 0.8, 1.0]) == pytest.approx(1.0)
    assert latency.hold_seconds([1.0, 1.1], [0.2, 0.8]) == 0.0
    tone = np.sin(np.arange(24_000) / 20).astype(np.float32)
    assert latency.mel_distance(tone, tone, 24_000) == 0.0
    assert latency.mel_distance(tone, tone / 2, 24_000) > 0.5

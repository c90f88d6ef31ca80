"""The scripts behind the engine's figures run, and end in one JSON document."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import agreement, start
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

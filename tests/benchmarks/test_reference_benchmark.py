"""The speed benchmark runs, its last line is JSON, and its figures hang together."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from benchmarks.reference import main, weights_per_step
from openbark.bench.workload import model_config
from openbark.checkpoints import expected_shapes


def run_benchmark(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["--seconds", "0.5", "--runs", "2", "--threads", "1", *arguments]) == 0
    *card, last = capsys.readouterr().out.splitlines()
    assert any(line.startswith("total") for line in card)
    report: dict[str, Any] = json.loads(last)
    return report


def test_last_line_is_the_report(capsys: pytest.CaptureFixture[str]) -> None:
    report = run_benchmark(capsys, "--shape", "tiny")
    assert report["audio_s"] == pytest.approx(0.5, abs=0.05)
    assert set(report["stages"]) == {"semantic", "coarse", "fine", "codec"}
    assert report["rtf"] == pytest.approx(report["wall_s"] / report["audio_s"])
    assert report["stages"]["semantic"]["tokens"] == 25
    for cost in report["decode_step"].values():
        assert cost["share"] == pytest.approx(cost["gb_s"] / cost["limit_gb_s"])
        assert cost["ms_per_step"] > 0


def test_measures_a_folder(tiny_checkpoint_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = run_benchmark(capsys, "--model", str(tiny_checkpoint_dir))
    assert report["model"] == "tiny"


def test_more_audio_than_one_call_makes_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--shape", "tiny", "--seconds", "60"]) == 2
    assert "60" in capsys.readouterr().err


def test_weights_per_step_is_what_the_checkpoint_holds() -> None:
    config = model_config("shape:small")
    for part, gpt in (("semantic.", config.semantic), ("coarse_acoustics.", config.coarse)):
        stored = sum(
            math.prod(shape)
            for name, shape in expected_shapes(config).items()
            if name.startswith(part) and "embeds" not in name
        )
        rows_of_embeddings = 2 * gpt.n_embd
        assert weights_per_step(gpt) == stored + rows_of_embeddings


def test_large_is_the_published_size() -> None:
    config = model_config("shape:large")
    n_semantic = sum(
        math.prod(shape)
        for name, shape in expected_shapes(config).items()
        if name.startswith("semantic.")
    )
    assert n_semantic == pytest.approx(446e6, rel=0.02)

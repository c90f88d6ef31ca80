"""The whole recipe in miniature, as a user runs it: from nothing to a checkpoint that loads and generates."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import openbark
from openbark.checkpoints.checkpoint import open_checkpoint
from recipes.embedded.recipe import recipe

MISSING = [program for program in ("flite", "espeak-ng") if shutil.which(program) is None]

COMMAND = [
    sys.executable,
    "-m",
    "openbark",
    "train",
    "embedded",
    "--preset",
    "smoke",
    "--threads",
    "1",
]

RECIPE_SECONDS = 900
"""Far more than the recipe takes; a hang fails instead of blocking."""


def _train(run: Path, *extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "--run", str(run), *extra],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=RECIPE_SECONDS,
        check=False,
    )


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if MISSING:
        pytest.skip(f"not installed: {', '.join(MISSING)} (apt-get install {' '.join(MISSING)})")
    run = tmp_path_factory.mktemp("smoke")
    result = _train(run)
    assert result.returncode == 0, result.stderr[-3000:]
    return run


def test_result_loads_and_generates(finished_run: Path) -> None:
    bark = openbark.Bark.load(finished_run / "model", threads=1)
    assert set(bark.voices) == {"en_0", "en_1"}
    params = openbark.GenerationParams.greedy(max_semantic_tokens=30)
    clips = [
        bark.generate("Hello there.", voice=voice, seed=1, params=params)
        for voice in ("en_0", None)
    ]
    for clip in clips:
        assert clip.sample_rate == 24_000
        assert np.isfinite(clip.waveform).all()
        assert len(clip.waveform) == clip.tokens.fine.shape[1] * 480 > 0


def test_second_start_does_nothing_again(finished_run: Path) -> None:
    before = (finished_run / "model" / "model.safetensors").read_bytes()
    metrics = (finished_run / "semantic" / "metrics.jsonl").read_text()
    result = _train(finished_run)
    assert result.returncode == 0, result.stderr[-3000:]
    assert (finished_run / "semantic" / "metrics.jsonl").read_text() == metrics
    assert (finished_run / "model" / "model.safetensors").read_bytes() == before


def test_steps_name_what_they_need(tmp_path: Path) -> None:
    result = _train(tmp_path / "empty", "--only", "coarse")
    assert result.returncode == 1
    assert "tokens" in result.stderr
    assert "Traceback" not in result.stderr


def test_embedded_checkpoint_fits_twenty_megabytes() -> None:
    from openbark.checkpoints.layouts.shapes import expected_shapes

    for preset in ("cpu", "gpu"):
        weights = sum(
            int(np.prod(shape)) for shape in expected_shapes(recipe(preset).config).values()
        )
        assert 2 * weights < 20_000_000


def test_exported_folder_is_readable_by_others(finished_run: Path) -> None:
    checkpoint = open_checkpoint(finished_run / "model")
    assert checkpoint.config.name == "openbark-smoke"
    umask = os.umask(0)
    os.umask(umask)
    for path in (finished_run / "model").rglob("*"):
        if path.is_file():
            assert path.stat().st_mode & 0o777 == 0o666 & ~umask, path

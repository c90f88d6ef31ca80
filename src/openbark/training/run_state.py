"""What a training run leaves on disk: the resumable state, the best weights, the metrics file.

Every file is written beside its target and moved over it, so that a kill at any moment leaves the
previous one whole. Knows nothing of tasks or schedules.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch

from openbark.errors import TrainingError

STATE_FILE = "checkpoint.pt"
BEST_FILE = "best.pt"
METRICS_FILE = "metrics.jsonl"


def _write(payload: dict[str, Any], path: Path) -> None:
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as handle:
        torch.save(payload, handle)
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(temporary, path)


def _read(path: Path) -> dict[str, Any]:
    try:
        payload = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise TrainingError(
            f"{path}: not a readable training file ({error}); move it away to start afresh"
        ) from error
    if not isinstance(payload, dict):
        raise TrainingError(f"{path}: not a training file; move it away to start afresh")
    return payload


def save_state(directory: Path, state: dict[str, Any]) -> None:
    """Write the resumable state (tensors and plain values only)."""
    _write(state, directory / STATE_FILE)


def load_state(directory: Path) -> dict[str, Any] | None:
    """The resumable state of ``directory``, None when there is none.

    Raises `TrainingError` when the file cannot be read.
    """
    path = directory / STATE_FILE
    return _read(path) if path.exists() else None


def save_best_weights(directory: Path, weights: dict[str, torch.Tensor]) -> None:
    """Write the weights with the lowest validation loss so far."""
    _write(dict(weights), directory / BEST_FILE)


def load_best_weights(directory: Path) -> dict[str, torch.Tensor]:
    """Weights (state dict of the task's module) with the lowest validation loss of a run.

    Raises `TrainingError` when the run has not validated yet.
    """
    path = directory / BEST_FILE
    if not path.exists():
        raise TrainingError(f"{path}: missing, the run has not validated yet; train further")
    return _read(path)


def append_metrics(directory: Path, record: dict[str, Any]) -> None:
    """Add one JSON line to the metrics file."""
    with (directory / METRICS_FILE).open("a", encoding="utf-8") as handle:
        handle.write(json.dumps(record) + "\n")


def truncate_metrics(directory: Path, step: int) -> None:
    """Drop the lines after ``step``: a killed run repeats the steps after its last checkpoint."""
    path = directory / METRICS_FILE
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            # A kill can leave half of the last line; everything it said is repeated.
            continue
        if record["step"] <= step:
            kept.append(line + "\n")
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text("".join(kept), encoding="utf-8")
    os.replace(temporary, path)

"""What a training run tells its user while it runs: stderr lines or a bar, TensorBoard, averages.

Knows nothing of tasks, checkpoints or schedules.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import torch

from openbark.extras import install_line


def format_seconds(seconds: float) -> str:
    """``h:mm:ss`` or ``m:ss``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class MetricMeans:
    """Means of scalar metrics since the last `take`."""

    def __init__(self) -> None:
        self._values: dict[str, list[torch.Tensor]] = {}

    def add(self, metrics: dict[str, torch.Tensor]) -> None:
        """Count the metrics of one step; a metric may be missing in some steps."""
        for name, value in metrics.items():
            # Not read here: that would make the CPU wait for the GPU at every step.
            self._values.setdefault(name, []).append(value.detach())

    def take(self) -> dict[str, float]:
        """The means, after which counting starts anew."""
        means = {
            name: sum(torch.stack(values).tolist()) / len(values)
            for name, values in self._values.items()
        }
        self._values.clear()
        return means


class Reporter:
    """Progress on stderr: a tqdm bar on a terminal, one plain line per report elsewhere."""

    def __init__(self, name: str, directory: Path, steps: int, start: int, *, quiet: bool) -> None:
        self._name = name
        self._steps = steps
        self._quiet = quiet
        self._bar = None if quiet else _terminal_bar(name, steps, start)
        self._writer = None if quiet else _tensorboard_writer(directory)
        self._last_time = time.monotonic()
        self._last_step = start

    def advance(self) -> None:
        """One step is done."""
        if self._bar is not None:
            self._bar.update(1)

    def seconds_per_step(self, step: int) -> float:
        """Wall seconds per step since the last call, validation and saving included."""
        now = time.monotonic()
        seconds = (now - self._last_time) / max(1, step - self._last_step)
        self._last_time, self._last_step = now, step
        return seconds

    def report(self, step: int, kind: str, values: dict[str, float], pace: float | None) -> None:
        """Show the ``values`` of ``step``; ``pace`` in seconds per step adds the remaining time."""
        if self._quiet:
            return
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(f"{kind}/{name}", value, step)
        text = " ".join(f"{name} {value:.4g}" for name, value in values.items())
        line = f"{self._name} {kind} {step}/{self._steps}: {text}"
        if pace is not None:
            left = format_seconds(pace * (self._steps - step))
            line += f" | {pace:.3f} s/step, {left} left"
        if self._bar is not None:
            self._bar.write(line, file=sys.stderr)
        else:
            print(line, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Release the bar and the TensorBoard file."""
        if self._bar is not None:
            self._bar.close()
        if self._writer is not None:
            self._writer.close()


def _terminal_bar(name: str, steps: int, start: int) -> Any | None:
    if not sys.stderr.isatty():
        return None
    from tqdm import tqdm

    return tqdm(total=steps, initial=start, desc=name, unit="step", file=sys.stderr)


def _tensorboard_writer(directory: Path) -> Any | None:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        line = f"no TensorBoard file is written, the package is missing: {install_line('train')}"
        print(line, file=sys.stderr, flush=True)
        return None
    return SummaryWriter(str(directory / "tensorboard"))

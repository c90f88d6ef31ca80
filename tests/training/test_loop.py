"""The training loop: exact resume, schedule, early stop, metrics, signals, changed options."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from openbark.errors import CancelledError, DeviceError, TrainingError
from openbark.training.loop import FitOptions, FitResult, decay_groups, fit, learning_rate
from openbark.training.run_state import METRICS_FILE, STATE_FILE, load_best_weights, load_state

OPTIONS = FitOptions(
    steps=12,
    lr=1e-2,
    warmup=3,
    checkpoint_every=4,
    validate_every=5,
    log_every=2,
    precision="fp32",
    threads=1,
)


class _Model(nn.Module):
    """Dropout (global random state) and a moving average (state in a buffer)."""

    average: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(6, 16), nn.Dropout(0.3), nn.Linear(16, 1))
        self.register_buffer("average", torch.zeros(6))

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            self.average.lerp_(x.mean(0), 0.1)
        out: Tensor = self.layers(x + self.average)
        return out


class _InterruptedError(Exception):
    pass


class _ToyTask:
    name = "toy"

    def __init__(self, at_step: tuple[int, Any] | None = None) -> None:
        torch.manual_seed(5)
        self.module: nn.Module = _Model()
        self.at_step = at_step
        self.validation_losses: list[float] = []

    def parameter_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        return decay_groups(self.module, weight_decay)

    def batch(self, step: int, rank: int, world: int) -> Tensor:
        return torch.randn(8, 6, generator=torch.Generator().manual_seed(step * 100 + rank))

    def loss(self, batch: Tensor, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        if self.at_step is not None and step == self.at_step[0]:
            self.at_step[1]()
        noise = 0.1 * torch.randn(8, generator=generator)
        error = self.module(batch).float()[:, 0] - batch.sum(1) - noise
        return {"loss": error.square().mean(), "absolute": error.abs().mean()}

    def validate(self) -> dict[str, float]:
        if self.validation_losses:
            return {"loss": self.validation_losses.pop(0)}
        return {"loss": float(self.loss(self.batch(-1, 7, 1), -1, torch.Generator())["loss"])}


class _SplitTask(_ToyTask):
    """Sixteen rows a step, dealt out to the processes; nothing in it is random."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(6)
        self.module = nn.Linear(6, 1)

    def batch(self, step: int, rank: int, world: int) -> Tensor:
        rows = torch.randn(16, 6, generator=torch.Generator().manual_seed(step))
        return rows[rank::world]

    def loss(self, batch: Tensor, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        return {"loss": (self.module(batch).float()[:, 0] - batch.sum(1)).square().mean()}


def _raise() -> None:
    raise _InterruptedError


def _weights(directory: Path) -> dict[str, Tensor]:
    state = load_state(directory)
    assert state is not None
    module = state["module"]
    assert isinstance(module, dict)
    return module


def _records(directory: Path, kind: str) -> list[dict[str, Any]]:
    lines = (directory / METRICS_FILE).read_text().splitlines()
    return [record for record in map(json.loads, lines) if record["kind"] == kind]


def _assert_same(a: dict[str, Tensor], b: dict[str, Tensor]) -> None:
    assert a.keys() == b.keys()
    for key, value in a.items():
        assert torch.equal(value, b[key]), key


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("killed_at", [2, 4, 9, 11])
def test_killed_run_ends_with_the_weights_of_an_uninterrupted_one(
    tmp_path: Path, killed_at: int, precision: str
) -> None:
    options = replace(OPTIONS, precision=precision)
    whole = fit(_ToyTask(), options, tmp_path / "whole")
    with pytest.raises(_InterruptedError):
        fit(_ToyTask((killed_at, _raise)), options, tmp_path / "killed")
    resumed = fit(_ToyTask(), options, tmp_path / "killed")
    _assert_same(_weights(tmp_path / "whole"), _weights(tmp_path / "killed"))
    assert resumed == whole
    for kind in ("train", "valid"):
        steps = [record["step"] for record in _records(tmp_path / "killed", kind)]
        assert steps == [record["step"] for record in _records(tmp_path / "whole", kind)]


def test_half_a_metrics_line_left_by_a_kill_is_dropped(tmp_path: Path) -> None:
    with pytest.raises(_InterruptedError):
        fit(_ToyTask((9, _raise)), OPTIONS, tmp_path)
    with (tmp_path / METRICS_FILE).open("a") as handle:
        handle.write('{"step": 9, "ki')
    fit(_ToyTask(), OPTIONS, tmp_path)
    assert [record["step"] for record in _records(tmp_path, "train")] == [2, 4, 6, 8, 10, 12]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_saves_and_the_run_goes_on_exactly(tmp_path: Path, number: signal.Signals) -> None:
    before = signal.getsignal(number)
    fit(_ToyTask(), OPTIONS, tmp_path / "whole")
    task = _ToyTask((5, lambda: os.kill(os.getpid(), number)))
    with pytest.raises(CancelledError, match="step 6 of 12"):
        fit(task, OPTIONS, tmp_path / "stopped")
    assert signal.getsignal(number) is before
    state = load_state(tmp_path / "stopped")
    assert state is not None and state["step"] == 6
    fit(_ToyTask(), OPTIONS, tmp_path / "stopped")
    _assert_same(_weights(tmp_path / "whole"), _weights(tmp_path / "stopped"))


def test_finished_run_is_returned_without_another_step(tmp_path: Path) -> None:
    first = fit(_ToyTask(), OPTIONS, tmp_path)
    assert fit(_ToyTask((0, _raise)), OPTIONS, tmp_path) == first


def test_schedule_rises_stays_and_falls_to_the_floor() -> None:
    options = replace(OPTIONS, steps=100, lr=1.0, warmup=10, decay_fraction=0.3, min_lr_ratio=0.02)
    rates = [learning_rate(options, step) for step in range(100)]
    assert rates[:10] == pytest.approx([0.1 * (i + 1) for i in range(10)])
    assert set(rates[10:70]) == {1.0}
    assert all(a > b for a, b in pairwise(rates[69:]))
    assert rates[84] == pytest.approx(0.51)
    assert rates[-1] == pytest.approx(0.02)


def test_steps_may_change_while_the_rate_is_constant(tmp_path: Path) -> None:
    fit(_ToyTask(), replace(OPTIONS, steps=20), tmp_path / "whole")
    with pytest.raises(_InterruptedError):
        fit(_ToyTask((6, _raise)), replace(OPTIONS, steps=12), tmp_path / "changed")
    fit(_ToyTask(), replace(OPTIONS, steps=20), tmp_path / "changed")
    _assert_same(_weights(tmp_path / "whole"), _weights(tmp_path / "changed"))


def test_schedule_may_not_change_once_the_decay_has_begun(tmp_path: Path) -> None:
    fit(_ToyTask(), OPTIONS, tmp_path)
    with pytest.raises(TrainingError, match="schedule can no longer change"):
        fit(_ToyTask(), replace(OPTIONS, steps=20), tmp_path)


def test_resume_with_another_seed_or_task_is_refused(tmp_path: Path) -> None:
    fit(_ToyTask(), OPTIONS, tmp_path)
    with pytest.raises(TrainingError, match="seed was 0, is 1"):
        fit(_ToyTask(), replace(OPTIONS, seed=1), tmp_path)
    other = _ToyTask()
    other.name = "other"
    with pytest.raises(TrainingError, match="'toy'"):
        fit(other, OPTIONS, tmp_path)


def test_early_stop_keeps_the_best_weights(tmp_path: Path) -> None:
    task = _ToyTask()
    task.validation_losses = [3.0, 1.0, 2.0, 1.5, 0.5]
    seen: dict[int, Tensor] = {}
    original = task.validate

    def validate() -> dict[str, float]:
        seen[len(task.validation_losses)] = next(task.module.parameters()).detach().clone()
        return original()

    task.validate = validate  # type: ignore[method-assign]
    options = replace(OPTIONS, steps=40, validate_every=2, patience=2)
    result = fit(task, options, tmp_path)
    assert result == FitResult(8, 1.0, True, {"loss": 1.5})
    best = load_best_weights(tmp_path)
    assert torch.equal(best["layers.0.weight"], seen[4])
    assert fit(_ToyTask((8, _raise)), options, tmp_path) == result


def test_metrics_are_means_since_the_last_report(tmp_path: Path) -> None:
    reports: list[tuple[int, dict[str, float]]] = []
    fit(_ToyTask(), OPTIONS, tmp_path, progress=lambda step, m: reports.append((step, m)))
    fit(_ToyTask(), replace(OPTIONS, log_every=1), tmp_path / "each")
    each = [record["absolute"] for record in _records(tmp_path / "each", "train")]
    records = _records(tmp_path, "train")
    assert [record["step"] for record in records] == [2, 4, 6, 8, 10, 12]
    assert [r["absolute"] for r in records] == pytest.approx(
        [(a + b) / 2 for a, b in zip(each[::2], each[1::2], strict=True)]
    )
    assert [step for step, _ in reports] == [2, 4, 6, 8, 10, 12]
    assert {"loss", "absolute", "grad_norm", "lr"} <= reports[0][1].keys()
    assert [record["step"] for record in _records(tmp_path, "valid")] == [5, 10, 12]


def test_progress_lines_name_step_and_remaining_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(_ToyTask(), OPTIONS, tmp_path)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("toy train 2/12: loss ")
    assert lines[0].endswith(" left")


def test_run_does_not_touch_the_callers_random_state(tmp_path: Path) -> None:
    task = _ToyTask()
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    fit(task, OPTIONS, tmp_path)
    assert torch.equal(torch.rand(3), expected)


def test_gradients_that_stay_infinite_end_the_run(tmp_path: Path) -> None:
    task = _ToyTask()
    original = task.loss

    def infinite(batch: Tensor, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        return {"loss": original(batch, step, generator)["loss"] * torch.inf}

    task.loss = infinite  # type: ignore[method-assign]
    with pytest.raises(TrainingError, match="finite gradient"):
        fit(task, replace(OPTIONS, steps=100), tmp_path)


def test_unreadable_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / STATE_FILE).write_bytes(b"not a checkpoint")
    with pytest.raises(TrainingError, match=STATE_FILE):
        fit(_ToyTask(), OPTIONS, tmp_path)


@pytest.mark.parametrize(
    "change", [{"steps": 0}, {"lr": -1.0}, {"precision": "fp16"}, {"decay_fraction": 1.5}]
)
def test_options_out_of_range_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(TrainingError, match=next(iter(change))):
        replace(OPTIONS, **change)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_missing_cuda_is_a_device_error(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="cuda"):
        fit(_ToyTask(), replace(OPTIONS, device="cuda"), tmp_path)


_WORKER = """
import sys
from pathlib import Path
sys.path[:0] = [{tests!r}, {root!r}]
from test_loop import OPTIONS, _SplitTask
from openbark.training.loop import fit
fit(_SplitTask(), OPTIONS, Path({directory!r}))
"""


def test_two_processes_train_what_one_process_trains_on_their_joint_batches(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    here = Path(__file__).resolve()
    code = _WORKER.format(
        tests=str(here.parent), root=str(here.parents[2]), directory=str(tmp_path / "two")
    )
    workers = []
    for rank in range(2):
        env = {
            **os.environ,
            "WORLD_SIZE": "2",
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
        }
        workers.append(subprocess.Popen([sys.executable, "-c", code], env=env))
    assert [worker.wait(timeout=120) for worker in workers] == [0, 0]
    fit(_SplitTask(), OPTIONS, tmp_path / "one")
    two, one = _weights(tmp_path / "two"), _weights(tmp_path / "one")
    assert one.keys() == two.keys()
    for key, value in one.items():
        torch.testing.assert_close(two[key], value)
    steps = [record["step"] for record in _records(tmp_path / "two", "train")]
    assert steps == [2, 4, 6, 8, 10, 12]

"""The training loop shared by every network: schedule, precision, validation, exact resume.

It knows tasks only through the `Task` protocol and never looks inside a batch. A run that is
killed at any moment and started again with the same options ends with the same weights, bit for
bit on a CPU: every random draw comes from a generator seeded with (seed, step, rank), and all
state is in the module, the optimiser and a few numbers, which are saved together.
"""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from openbark.errors import CancelledError, TrainingError
from openbark.training.distributed import Workers, join_workers
from openbark.training.reporting import MetricMeans, Reporter
from openbark.training.run_state import (
    append_metrics,
    load_state,
    save_best_weights,
    save_state,
    truncate_metrics,
)

# Options that change what the following steps compute: a resumed run has to keep them.
_FIXED_OPTIONS = ("lr", "warmup", "weight_decay", "betas", "grad_clip", "seed", "precision")
_MAX_SKIPPED = 20


class Task(Protocol):
    """What the loop trains. Batches must be a pure function of (step, rank, world)."""

    name: str

    @property
    def module(self) -> torch.nn.Module:
        """What is trained and saved: parameters and buffers."""
        ...

    def parameter_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """Parameter groups for AdamW."""
        ...

    def batch(self, step: int, rank: int, world: int) -> Any:
        """The batch of one step for one process: no hidden random state."""
        ...

    def loss(self, batch: Any, step: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """Scalars; the one called "loss" is minimised, the others are reported."""
        ...

    def validate(self) -> dict[str, float]:
        """Scalars on held-out data; the one called "loss" drives early stopping."""
        ...


@dataclass(frozen=True)
class FitOptions:
    """How long and how to train.

    The learning rate rises over ``warmup`` steps, stays at ``lr``, and falls along a half cosine
    to ``min_lr_ratio * lr`` over the last ``decay_fraction`` of ``steps``. ``patience`` counts
    validations without a new best; None never stops early. ``threads`` None leaves torch's number.
    """

    steps: int
    lr: float
    warmup: int = 100
    decay_fraction: float = 0.3
    min_lr_ratio: float = 0.02
    weight_decay: float = 0.05
    betas: tuple[float, float] = (0.9, 0.98)
    grad_clip: float = 1.0
    seed: int = 0
    precision: str = "bf16"
    device: str = "cpu"
    checkpoint_every: int = 500
    validate_every: int = 500
    log_every: int = 50
    patience: int | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        for name in ("steps", "lr", "grad_clip", "checkpoint_every", "validate_every", "log_every"):
            if not getattr(self, name) > 0:
                raise TrainingError(f"{name} must be positive, is {getattr(self, name)}")
        if self.precision not in ("bf16", "fp32"):
            raise TrainingError(f"precision {self.precision!r}; allowed: 'bf16' and 'fp32'")
        if not 0.0 <= self.decay_fraction <= 1.0:
            raise TrainingError(f"decay_fraction must be in [0, 1], is {self.decay_fraction}")

    @property
    def decay_start(self) -> int:
        """First step with a falling learning rate."""
        return self.steps - round(self.steps * self.decay_fraction)


@dataclass(frozen=True)
class FitResult:
    """How a run ended."""

    steps: int
    best_loss: float
    stopped_early: bool
    metrics: dict[str, float]


def learning_rate(options: FitOptions, step: int) -> float:
    """Learning rate of step ``step`` (0-based): warm-up, constant, half cosine."""
    if step < options.decay_start:
        return options.lr * min(1.0, (step + 1) / max(1, options.warmup))
    length = options.steps - options.decay_start
    fraction = min(1.0, (step - options.decay_start + 1) / max(1, length))
    floor = options.min_lr_ratio
    return options.lr * (floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * fraction)))


def decay_groups(module: torch.nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two AdamW groups: matrices with weight decay; biases, norms and scales without."""
    trained = [p for p in module.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]


def fit(
    task: Task,
    options: FitOptions,
    directory: Path,
    *,
    progress: Callable[[int, dict[str, float]], None] | None = None,
) -> FitResult:
    """Train ``task`` until ``options.steps`` or early stop, resuming from ``directory`` if it can.

    ``progress(step, means)`` is called at every report. ``steps`` may differ from the saved run's
    while the learning rate is still constant. SIGTERM and SIGINT save and raise `CancelledError`.
    Raises `TrainingError` for options that contradict the saved run, for non-finite losses and for
    an unreadable checkpoint, `DeviceError` for a missing device.
    """
    with (
        join_workers(options.device) as workers,
        _seeded_elsewhere(workers),
        torch_threads(options.threads),
    ):
        run = _Run(task, options, directory, workers, progress)
        with _stop_signals() as stop:
            try:
                return run.train(stop)
            finally:
                run.reporter.close()


class _Run:
    """The state of one call of `fit`."""

    def __init__(
        self,
        task: Task,
        options: FitOptions,
        directory: Path,
        workers: Workers,
        progress: Callable[[int, dict[str, float]], None] | None,
    ) -> None:
        self.task = task
        self.options = options
        self.directory = directory
        self.workers = workers
        self.progress = progress
        self.step = 0
        self.best_loss = math.inf
        self.without_best = 0
        self.skipped = 0
        self.last_metrics: dict[str, float] = {}
        directory.mkdir(parents=True, exist_ok=True)
        task.module.to(workers.device)
        self.optimizer = torch.optim.AdamW(
            task.parameter_groups(options.weight_decay),
            lr=options.lr,
            betas=options.betas,
            fused=True,
        )
        self._resume()
        workers.broadcast_state(task.module, buffers_only=False)
        self.reporter = Reporter(
            task.name, directory, options.steps, self.step, quiet=not workers.is_first
        )

    def train(self, stop: threading.Event) -> FitResult:
        """Run the remaining steps."""
        options, means = self.options, MetricMeans()
        self.task.module.train()
        stopped_early = self._out_of_patience()
        while self.step < options.steps and not stopped_early:
            means.add(self._one_step())
            self.step += 1
            self.reporter.advance()
            if self.step % options.log_every == 0 or self.step == options.steps:
                self._report_training(means.take())
            if self.step % options.validate_every == 0 or self.step == options.steps:
                self._validate()
                stopped_early = self._out_of_patience()
            due = self.step % options.checkpoint_every == 0 or self.step == options.steps
            if due or stopped_early:
                self._save()
            if self.workers.any_of(stop.is_set()) and self.step < options.steps:
                self._save()
                raise CancelledError(
                    f"{self.task.name}: stopped at step {self.step} of {options.steps}, state "
                    f"saved in {self.directory}; run the same command to go on"
                )
        return FitResult(self.step, self.best_loss, stopped_early, dict(self.last_metrics))

    def _one_step(self) -> dict[str, torch.Tensor]:
        options, rank = self.options, self.workers.rank
        words = np.random.SeedSequence((options.seed, self.step, rank)).generate_state(2)
        seed = int(words[0]) << 32 | int(words[1])
        generator = torch.Generator().manual_seed(seed)
        # Dropout inside a network draws from torch's global generator.
        torch.manual_seed(seed)
        batch = self.task.batch(self.step, rank, self.workers.world)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(options, self.step) * group.get("lr_scale", 1.0)
        with torch.autocast(
            self.workers.device.type, torch.bfloat16, enabled=options.precision == "bf16"
        ):
            metrics = self.task.loss(batch, self.step, generator)
        self.optimizer.zero_grad(set_to_none=True)
        metrics["loss"].backward()  # type: ignore[no-untyped-call]
        self.workers.average_gradients(self.task.module)
        parameters = [p for p in self.task.module.parameters() if p.grad is not None]
        norm = torch.nn.utils.clip_grad_norm_(parameters, options.grad_clip)
        if self._usable(norm, metrics["loss"]):
            self.optimizer.step()
        self.workers.broadcast_state(self.task.module, buffers_only=True)
        return {**metrics, "grad_norm": norm}

    def _usable(self, norm: torch.Tensor, loss: torch.Tensor) -> bool:
        """Whether to apply this step's gradient; many bad ones in a row end the run."""
        if bool(torch.isfinite(norm)):
            self.skipped = 0
            return True
        self.skipped += 1
        if self.skipped >= _MAX_SKIPPED:
            raise TrainingError(
                f"{self.task.name}: step {self.step}: {self.skipped} steps in a row without a "
                f"finite gradient (loss {float(loss.detach()):.4g}); lower lr or use precision='fp32'"
            )
        return False

    def _report_training(self, means: dict[str, float]) -> None:
        pace = self.reporter.seconds_per_step(self.step)
        values = {**means, "lr": learning_rate(self.options, self.step - 1)}
        if not self.workers.is_first:
            return
        append_metrics(
            self.directory,
            {"step": self.step, "kind": "train", **values, "seconds_per_step": pace},
        )
        self.reporter.report(self.step, "train", values, pace)
        if self.progress is not None:
            self.progress(self.step, values)

    def _validate(self) -> None:
        loss = math.nan
        if self.workers.is_first:
            self.task.module.eval()
            with torch.no_grad():
                self.last_metrics = self.task.validate()
            self.task.module.train()
            loss = self.last_metrics["loss"]
            append_metrics(
                self.directory, {"step": self.step, "kind": "valid", **self.last_metrics}
            )
            self.reporter.report(self.step, "valid", self.last_metrics, None)
        loss = self.workers.from_first(loss)
        if loss < self.best_loss:
            self.best_loss, self.without_best = loss, 0
            if self.workers.is_first:
                save_best_weights(self.directory, self.task.module.state_dict())
        else:
            self.without_best += 1

    def _out_of_patience(self) -> bool:
        patience = self.options.patience
        return patience is not None and self.without_best >= patience

    def _save(self) -> None:
        if not self.workers.is_first:
            return
        state = {
            "task": self.task.name,
            "step": self.step,
            "best_loss": self.best_loss,
            "without_best": self.without_best,
            "options": {**asdict(self.options), "betas": list(self.options.betas)},
            "metrics": dict(self.last_metrics),
            "module": self.task.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        save_state(self.directory, state)

    def _resume(self) -> None:
        state = load_state(self.directory)
        if state is None:
            if self.workers.is_first:
                truncate_metrics(self.directory, 0)
            return
        if state["task"] != self.task.name:
            raise TrainingError(
                f"{self.directory} holds a run of {state['task']!r}, not of {self.task.name!r}; "
                "choose another directory"
            )
        _check_options(self.directory, self.options, state["options"], state["step"])
        self.task.module.load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]
        self.best_loss = state["best_loss"]
        self.without_best = state["without_best"]
        self.last_metrics = state["metrics"]
        if self.workers.is_first:
            truncate_metrics(self.directory, self.step)


def _check_options(directory: Path, options: FitOptions, saved: dict[str, Any], step: int) -> None:
    """Refuse options that would make a resumed run a different run."""
    now = {**asdict(options), "betas": list(options.betas)}
    for name in _FIXED_OPTIONS:
        if now[name] != saved[name]:
            raise TrainingError(
                f"{directory}: {name} was {saved[name]}, is {now[name]}; a run is resumed with "
                "its own settings, or started afresh in another directory"
            )
    schedule = ("steps", "decay_fraction", "min_lr_ratio")
    if all(now[name] == saved[name] for name in schedule):
        return
    before = FitOptions(**{**saved, "betas": tuple(saved["betas"])})
    if step > min(before.decay_start, options.decay_start):
        raise TrainingError(
            f"{directory}: at step {step} the schedule can no longer change: the saved one decays "
            f"from step {before.decay_start}, the new one from {options.decay_start}; keep "
            f"steps={before.steps}, or choose a decay start after {step} before the decay begins"
        )


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set; outside the main thread nothing sets it."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    watched = (signal.SIGTERM, signal.SIGINT)
    previous = {number: signal.getsignal(number) for number in watched}
    for number in watched:
        signal.signal(number, lambda *_: event.set())
    try:
        yield event
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def _seeded_elsewhere(workers: Workers) -> Iterator[None]:
    """Give the caller its global random state back after the run."""
    devices = [workers.device] if workers.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        yield


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Use `count` CPU threads inside, the caller's number afterwards; None changes nothing."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)

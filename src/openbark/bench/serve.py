"""The report of `openbark bench serve` for people, and the whole run that makes it."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

from openbark import __version__
from openbark.backends.native.backend import NativeBackend
from openbark.bench.load import Serving, listening, overrun, together
from openbark.bench.own import Probes
from openbark.bench.traffic import Traffic
from openbark.bench.workload import Workload, load_model
from openbark.errors import ParamError


def serve_report(
    workload: Workload, dtype: str, serving: Serving, say: Callable[[str], None]
) -> dict[str, Any]:
    """Load the model, measure, and report. `say` is told of each step.

    Raises ParamError for impossible settings, CheckpointError for a model that cannot be read.
    """
    for name, value, least in (
        ("--clips", serving.clips, 1),
        ("--repeat", serving.repeat, 1),
        ("--load", serving.load, 0.01),
        ("--for", serving.seconds, 0.1),
    ):
        if value < least:
            raise ParamError(f"{name} is {value}; allowed: {least} or more")
    checkpoint = load_model(workload, workload.window)
    backend = NativeBackend.load(checkpoint, dtype, workload.threads)
    traffic = Traffic(workload, checkpoint.config)
    say(f"{checkpoint.config.name}: {backend.description}")
    batch = together(backend, traffic, serving, Probes(workload.threads).read_rate, say)
    say(f"listeners for {serving.seconds:g} s at {serving.load:.0%} of the throughput")
    steady = listening(backend, traffic, serving, batch["batch_throughput"])
    say("at least ten times too many requests")
    overload = overrun(backend, traffic, serving, batch["batch_throughput"])
    return {
        "benchmark": "serve",
        "version": __version__,
        "model": checkpoint.config.name,
        "backend": backend.description,
        "clip_seconds": workload.seconds,
        "voice": workload.voice,
        "window": workload.window,
        "max_batch": serving.max_batch,
        "max_queued": serving.max_queued,
        "together": batch,
        "listeners": steady,
        "overload": overload,
    }


def serve_card(report: dict[str, Any]) -> str:
    """Lines of text."""
    batch, steady, overload = report["together"], report["listeners"], report["overload"]
    rates = batch["read_gb_per_second"]
    return "\n".join(
        [
            f"{report['model']} ({report['backend']}), clips of about {report['clip_seconds']:g} s, "
            f"voice {report['voice']}, window {report['window']}",
            f"{batch['clips']} clips, {batch['audio_seconds']:.1f} s of audio, median of "
            f"{batch['rounds']} rounds:",
            f"  one by one {batch['solo_seconds']:8.2f} s   {batch['solo_throughput']:7.2f} s of audio "
            "per second",
            f"  together   {batch['batch_seconds']:8.2f} s   {batch['batch_throughput']:7.2f} s of audio "
            f"per second   {batch['gain']:.2f} times as fast, "
            f"tokens {'equal' if batch['tokens_equal'] else 'DIFFER'}",
            f"  memory read at {min(rates):.0f} to {max(rates):.0f} GB/s meanwhile, "
            f"{statistics.median(rates):.0f} in the median",
            _ceiling_line(batch),
            f"{steady['listeners']} listeners of {steady['pieces']} clips each, at random, "
            f"{steady['load']:.0%} of that:",
            f"  first audio after {steady['ttfa_p50_seconds']:.2f} s (p50), "
            f"{steady['ttfa_p99_seconds']:.2f} s (p99)",
            f"  playback ran dry {steady['underruns']} times, for {steady['listeners_with_underruns']} "
            f"of them; {steady['rejected']} refused",
            f"overload of {overload['offered_per_second']:.1f} requests per second:",
            f"  {overload['accepted']} accepted, {overload['rejected']} refused in "
            f"{overload['reject_p50_ms']:.2f} ms (p50), {overload['reject_p99_ms']:.2f} ms (p99); "
            f"at most {overload['most_queued']} waited, {overload['left_running']} left behind",
        ]
    )


def _ceiling_line(batch: dict[str, Any]) -> str:
    ceiling = batch["ceiling"]
    steps = ", ".join(
        f"{stage} {ceiling['solo_step_ms'][stage]:.2f} ms for one, {together:.2f} for {batch['clips']}"
        for stage, together in ceiling["step_ms"].items()
    )
    return (
        f"  ceiling of this mix: {ceiling['in_turn']:.2f} with steps as measured ({steps}), reached "
        f"{batch['share_of_ceiling']:.0%} of it; {ceiling['draws_free']:.2f} were draws free"
    )

"""The report of `openbark bench say` for people."""

from __future__ import annotations

from typing import Any

from openbark.bench.race import STAGES


def card(report: dict[str, Any]) -> str:
    """Lines of text, a table for each contestant."""
    machine, workload = report["machine"], report["workload"]
    lines = [
        f"{report['model']}, {report['audio_seconds']:.1f} s of audio, voice {workload['voice']}",
        f"this machine: reads {machine['read']:.1f} GB/s, multiplies {machine['products']:.0f} GOP/s",
    ]
    for label, row in report["contestants"].items():
        lines += ["", *_contestant(label, row)]
    for label, peers in report["faster"].items():
        for peer, ratio in peers.items():
            lines.append(f"{label} is {ratio:.1f} times as fast as {peer}")
    return "\n".join(lines)


def _contestant(label: str, row: dict[str, Any]) -> list[str]:
    lines = [
        f"{label} ({row['description']}; window {row['window']}; {row['rounds']} rounds)",
        f"  {'':<9}{'seconds':>9}{'RTF':>8}{'steps':>7}{'ms/step':>9}{'GB/s':>8}{'GOP/s':>8}",
    ]
    for stage in STAGES:
        cell = row["stages"][stage]
        text = f"  {stage:<9}{cell['seconds']:>9.2f}{cell['real_time_factor']:>8.3f}"
        if "steps" in cell:
            text += f"{cell['steps']:>7}{cell['ms_per_step']:>9.2f}"
            text += f"{cell['gb_s']:>8.1f}{cell['gop_s']:>8.0f}"
        lines.append(text)
    lines.append(
        f"  {'all':<9}{row['seconds']:>9.2f}{row['real_time_factor']:>8.3f}"
        f"   peak memory {row['peak_megabytes']:.0f} MB"
    )
    for name, step in row["steps"].items():
        lines.append(
            f"  one {name} alone: {step['milliseconds']:.2f} ms, {step['rate']:.1f} of "
            f"{step['limit']:.1f} {step['unit']} ({step['share']:.0%})"
        )
    return lines

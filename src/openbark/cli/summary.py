"""What `openbark say` prints about a clip."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openbark.cli.streams import is_pipe

if TYPE_CHECKING:
    from openbark.api import Bark
    from openbark.cli.outputs import Output
    from openbark.result import Clip

__all__ = ["report", "summary", "voice_words"]


def summary(clip: Clip, target: Output, voice_file: Path | None, has_json: bool) -> str:
    """Lines for stderr, the file first. has_json: stdout is in use, so that nothing is said of it."""
    lines = [
        f"file {target.name if target.path else 'stdout'}: {clip.seconds:.2f} s of audio",
        f"seed {clip.seed}, {voice_words(clip.voice)}, model {clip.config.name}, "
        f"stopped by {clip.stop_reason}",
        f"made in {clip.wall_seconds:.2f} s (real-time factor {clip.real_time_factor:.2f})",
    ]
    if len(clip.segments) > 1:
        again = sum(segment.n_attempts > 1 for segment in clip.segments)
        lines.insert(2, f"{len(clip.segments)} pieces, {again} of them made more than once")
    if clip.n_clipped and target.format != "f32":
        lines.append(
            f"{clip.n_clipped} samples were too loud and clipped; --loudness -16 avoids that"
        )
    if voice_file:
        lines.append(f"voice file {voice_file}")
    if target.path and is_pipe(sys.stdout) and not has_json:
        lines.append("the audio is in the file, not in the pipe; -o - writes it there")
    return "\n".join(lines)


def report(clip: Clip, bark: Bark, target: Output, load_seconds: float) -> dict[str, Any]:
    """What `--json` prints."""
    return {
        "file": target.name,
        "format": target.format,
        **clip.to_dict(),
        "load_seconds": round(load_seconds, 4),
        "backend": bark.backend.description,
    }


def voice_words(voice: str | None) -> str:
    """A voice's name in a summary."""
    return f"voice {voice}" if voice else "a voice of the model's own choice"

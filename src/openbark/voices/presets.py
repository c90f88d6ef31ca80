"""Names of Suno's presets, and which of a model's own voices stands in for one that it does not have (docs/parity.md S40).

Scripts name presets whose files are Suno's; a model with voices of its own can run them all the same, always with the
same voice, and says so. Knows no files.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import cache

_LOG = logging.getLogger(__name__)

PRESET_LANGUAGES = (
    ("English", "en"),
    ("German", "de"),
    ("Spanish", "es"),
    ("French", "fr"),
    ("Hindi", "hi"),
    ("Italian", "it"),
    ("Japanese", "ja"),
    ("Korean", "ko"),
    ("Polish", "pl"),
    ("Portuguese", "pt"),
    ("Russian", "ru"),
    ("Turkish", "tr"),
    ("Chinese", "zh"),
)
"""Languages of Suno's models (S17)."""

PRESET_NAMES = frozenset({"announcer"}) | {
    f"{version}{language}_speaker_{number}"
    for version in ("", "v2/")
    for _, language in PRESET_LANGUAGES
    for number in range(10)
}
"""Names of Suno's presets, 261 of them (S40)."""


def stand_in(name: str, voices: Iterable[str], model: str) -> str | None:
    """Which of `voices` is used for a preset's name, of its language where there is one; None where the name
    is not a preset's, or there are no voices. Logs one line that names both, the first time."""
    own = [voice for voice in voices if "/" not in voice]
    if name not in PRESET_NAMES or not own:
        return None
    language, _, number = name.rpartition("/")[2].partition("_speaker_")
    same = [voice for voice in own if voice.startswith(f"{language}_")] or own
    chosen = same[int(number or 0) % len(same)]
    _notify(name, chosen, model)
    return chosen


@cache
def _notify(name: str, chosen: str, model: str) -> None:
    """Log the line, once in a process."""
    _LOG.warning("%s has no preset %s; its own voice %s stands in for it", model, name, chosen)

"""The names of Bark Infinity (parity I1-I6, I8): `from openbark.compat.infinity import generate_audio_long`.

The command line is `openbark infinity`; both read the same table, `options.OPTIONS`. What became of each option
is in docs/migrating-infinity.md.
"""

from __future__ import annotations

from openbark.compat.infinity.generation import (
    SeedSource,
    generate_audio_barki,
    generate_audio_long,
    set_seed,
)
from openbark.compat.infinity.options import OPTIONS, Option
from openbark.compat.infinity.speakers import (
    history_prompt_detailed_report,
    history_prompt_is_valid,
    list_speakers,
    render_npz_samples,
)

__all__ = [
    "OPTIONS",
    "Option",
    "SeedSource",
    "generate_audio_barki",
    "generate_audio_long",
    "history_prompt_detailed_report",
    "history_prompt_is_valid",
    "list_speakers",
    "render_npz_samples",
    "set_seed",
]

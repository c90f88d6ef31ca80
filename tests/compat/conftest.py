from __future__ import annotations

import pytest

from openbark.voices import presets


@pytest.fixture(autouse=True)
def nothing_said_yet() -> None:
    """Lines that are said once in a process are said in every test."""
    presets._notify.cache_clear()

"""Subjects of commits are short; what cannot be checked passes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from scripts.commit_subjects import MOST, ROOT, subjects_since, too_long

SCRIPT = ROOT / "scripts" / "commit_subjects.py"


def test_long_subjects_are_found() -> None:
    assert too_long(["x" * MOST, "Fix the clock"]) == []
    assert too_long(["Fix the clock", "x" * 73]) == ["73 characters: " + "x" * 73]


@pytest.mark.parametrize(("subject", "status"), [("Fix the clock", 0), ("x" * 73, 1)])
def test_a_message_is_checked_before_the_commit(tmp_path: Path, subject: str, status: int) -> None:
    message = tmp_path / "COMMIT_EDITMSG"
    message.write_text(
        f"{subject}\n\nA body with a line that may be as long as it likes to be." + "x" * 80
    )
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--file", str(message)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status
    assert ("at most 72" in done.stderr) == bool(status)


def test_without_the_history_nothing_is_checked() -> None:
    assert subjects_since("0" * 40) is None

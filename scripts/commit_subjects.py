"""Check that the subjects of commits are short enough to be read in a list.

python scripts/commit_subjects.py                # every commit since the rule; exit 1 and list the long ones
python scripts/commit_subjects.py --file FILE    # one message, as git's commit-msg hook gives it
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
MOST = 72
LAST_BEFORE_THE_RULE = "960bbc8"
WRITTEN_BEFORE_THE_CHECK = ("4c1cded", "b83ef66", "1de7cfc", "85cb0e5", "f4e1fa9")


def too_long(subjects: list[str]) -> list[str]:
    """Those that exceed the limit, each with its length."""
    return [f"{len(each)} characters: {each}" for each in subjects if len(each) > MOST]


def subjects_since(commit: str) -> list[str] | None:
    """Subjects after `commit`, merges left out; None where git or the history is not there."""
    command = ["git", "log", "--no-merges", "--format=%H %s", f"{commit}..HEAD"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return [
        line.partition(" ")[2]
        for line in done.stdout.splitlines()
        if not line.startswith(WRITTEN_BEFORE_THE_CHECK)
    ]


def main() -> int:
    """Check; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--file", type=Path, help="a commit message instead of the history")
    arguments = parser.parse_args()
    if arguments.file is not None:
        subjects: list[str] | None = arguments.file.read_text(encoding="utf-8").splitlines()[:1]
    else:
        subjects = subjects_since(LAST_BEFORE_THE_RULE)
    if subjects is None:
        print("the git history is not here: subjects of commits are not checked", file=sys.stderr)
        return 0
    found = too_long(subjects)
    for each in found:
        print(each, file=sys.stderr)
    if found:
        print(f"the subject of a commit has at most {MOST} characters", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

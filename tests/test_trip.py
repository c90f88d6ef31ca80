"""How many files of the package a reader meets on the way of `openbark "Hello."`: an upper limit that only falls."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from architecture_rules import PACKAGE

from openbark.assets import has_embedded

LIMIT = 85
"""81 on the machine where it was counted; a first start, or other hardware, may reach a few more. The aim is 45."""

TRIP = """
import inspect, sys, threading
from pathlib import Path
package, out = Path(sys.argv[1]), sys.argv[2]
called = set()
def note(frame, event, arg):
    code = frame.f_code
    # Only functions: bodies of classes lack the flag. What runs while a module is imported is no part of the trip.
    if event != "call" or not code.co_flags & inspect.CO_OPTIMIZED or code.co_filename in called:
        return
    while frame is not None:
        if frame.f_code.co_name == "<module>" and Path(frame.f_code.co_filename).is_relative_to(package):
            return
        frame = frame.f_back
    called.add(code.co_filename)
threading.setprofile(note)
sys.setprofile(note)
from openbark.cli.main import main
sys.argv = ["openbark", "Hello.", "-o", out]
try:
    main()
except SystemExit as stop:
    status = stop.code
else:
    status = 0
sys.setprofile(None)
print("FILES", *sorted(name for name in called if Path(name).is_relative_to(package)))
sys.exit(status)
"""


@pytest.mark.skipif(not has_embedded(), reason="this tree has no embedded model")
def test_files_that_run_for_one_clip(tmp_path: Path) -> None:
    clip = tmp_path / "hello.wav"
    done = subprocess.run(
        [sys.executable, "-c", TRIP, str(PACKAGE), str(clip)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert clip.is_file()
    files = done.stdout.rpartition("FILES")[2].split()
    assert len(files) > 10, "the profiler has lost the package"
    assert len(files) <= LIMIT, "\n".join(files)

"""`python -m bark`: row S6 and section A1.5 of the parity list."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[3]


def run_bark(*args: str) -> int:
    from openbark.compat.suno.command_line import main

    return main(args)


def test_S6_the_command_line_writes_float32(tiny_generation: ModuleType) -> None:
    import soundfile

    args = ("--text", "Hi there.", "--output_dir", "out", "--silent", "True")
    assert run_bark(*args, "--history_prompt", "en_0", "--output_full", "false") == 0
    assert soundfile.info("out/bark_generation.wav").subtype == "FLOAT"
    assert not Path("out/bark_generation.npz").exists()
    assert run_bark(*args, "--output_full", "True", "--output_filename", "b.flac") == 0
    assert Path("out/b.npz").is_file()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "no text; give one with --text"),
        (("--text", " "), "holds only white space"),
        (("--text", "Hi.", "--history_prompt", "nobody"), "unknown voice 'nobody'"),
        (("--text", "Hi.", "--output_filename", "a.docx"), "cannot tell the audio format"),
    ],
)
def test_S6_errors_have_an_exit_code(
    tiny_generation: ModuleType,
    capsys: pytest.CaptureFixture[str],
    args: tuple[str, ...],
    message: str,
) -> None:
    assert run_bark(*args) == 2
    assert message in capsys.readouterr().err


def test_S6_words_that_are_no_truth_values_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run_bark("--text", "Hi.", "--silent", "perhaps")
    assert stop.value.code == 2
    assert "allowed: true or false" in capsys.readouterr().err


def test_S6_python_dash_m_bark() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bark"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 2
    assert done.stderr == "error: no text; give one with --text\n"

"""The command `openbark batch` around a model without weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

pytest.importorskip("pyarrow", reason="needs the extra [batch]")

import numpy as np
from fake_batch_voice import MODEL, FakeMaker
from test_batch_jobs import ROWS, in_process, write_jsonl

from openbark.api import Bark
from openbark.batch import bark_lines, local
from openbark.batch.jobs import Line
from openbark.batch.shard import Sound
from openbark.cli.main import cli
from openbark.errors import VoiceError


class FakeBarkMaker(FakeMaker):
    def __init__(self, *given: object) -> None:
        super().__init__()

    def fingerprint(self) -> dict[str, Any]:
        return dict(MODEL)


@pytest.fixture(autouse=True)
def without_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bark_lines, "BarkMaker", FakeBarkMaker)
    monkeypatch.setattr(local, "run_local", in_process)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["batch", *map(str, arguments)])


def test_exit_codes_say_how_it_ended(tmp_path: Path) -> None:
    jobs = write_jsonl(tmp_path / "jobs.jsonl", ROWS)
    done = run(jobs, "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "20 lines spoken, 0 quarantined" in done.output
    assert run(jobs, "-o", tmp_path / "out").exit_code == 2
    assert run(jobs, "-o", tmp_path / "out", "--resume").exit_code == 0
    assert run(jobs, "-o", tmp_path / "out", "--resume", "--seed", 1).exit_code == 2
    assert run(tmp_path / "nothing.jsonl", "-o", tmp_path / "new").exit_code == 2
    bad = write_jsonl(tmp_path / "bad.jsonl", [*ROWS, {"id": "x", "text": ""}])
    assert run(bad, "-o", tmp_path / "bad").exit_code == 3
    stopped = run("run", bad, "-o", tmp_path / "stopped", "--max-failures", "0")
    assert stopped.exit_code == 1 and "--max-failures" in stopped.output


def test_a_disk_that_cannot_be_written_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> list[int]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("openbark.batch.shard.write_part", full)
    result = run(write_jsonl(tmp_path / "jobs.jsonl", ROWS), "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert result.output.splitlines()[-1].startswith("error: cannot write")


def test_status_for_people_and_programs(tmp_path: Path) -> None:
    run(write_jsonl(tmp_path / "jobs.jsonl", ROWS), "-o", tmp_path / "out")
    assert "lines done: 20" in run("status", tmp_path / "out").output
    assert json.loads(run("status", tmp_path / "out", "--json").output)["finished"] is True
    assert run("status", tmp_path).exit_code == 2


def test_lines_sound_as_they_do_alone(tiny_checkpoint_dir: Path) -> None:
    bark = Bark.load(tiny_checkpoint_dir, dtype="float32", threads=1)
    lines = [
        (Line("a", "abc", params={"max_seconds": 0.5}), 1),
        (Line("b", "abc def", params={"max_seconds": 0.5}), 2),
        (Line("c", "abc", voice="nobody"), 3),
    ]
    found = bark_lines.BarkLines(bark, rows=2).speak(lines)
    for (line, seed), sound in zip(lines[:2], found[:2], strict=True):
        assert isinstance(sound, Sound)
        params = bark.default_params.with_named(line.params)
        assert np.array_equal(sound.waveform, bark.generate(line.text, None, seed, params).waveform)
    assert isinstance(found[2], VoiceError)

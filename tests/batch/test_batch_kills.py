"""Batches whose processes are killed at random: nothing lost, nothing twice, the same bytes; and no name that lies."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from waiting import wait_until

pytest.importorskip("pyarrow", reason="needs the extra [batch]")

from fake_batch_voice import MODEL, FakeMaker
from test_batch_jobs import tree, write_jsonl

from openbark.batch.commit import read_manifest
from openbark.batch.local import run_local
from openbark.batch.run import BatchOptions, run_batch
from openbark.errors import DeviceError

N_LINES, N_KILLS, SHARD = 96, 10, 8
LONG = 120.0


def wait_for(condition: Callable[[], bool]) -> None:
    wait_until(condition)


def start(jobs: Path, output: Path, log: Path) -> subprocess.Popen[bytes]:
    program = Path(__file__).parent / "fake_batch_voice.py"
    command = [sys.executable, str(program), str(jobs), str(output), "0.01", str(log)]
    return subprocess.Popen(command, stderr=subprocess.PIPE)


def wait_for_lines(log: Path, target: int, run: subprocess.Popen[bytes]) -> None:
    wait_for(lambda: n_spoken(log) >= target or run.poll() is not None)


def n_spoken(log: Path) -> int:
    return len(log.read_text().splitlines()) if log.exists() else 0


def workers_of(driver: int) -> list[int]:
    """Processes that a driver started and that speak."""
    found = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(driver)],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line.split(maxsplit=1) for line in found.stdout.splitlines()]
    return [int(pid) for pid, args in lines if "spawn_main" in args]


def is_gone(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def check_visible(output: Path) -> None:
    """Whatever has a final name is whole."""
    for path in output.glob("part-*.parquet"):
        rows = read_manifest(path)
        tar = path.with_suffix(".tar").read_bytes()
        assert rows and all(row["status"] == "ok" for row in rows)
        for row in rows:
            begin = row["offset"] + 512
            found = hashlib.sha256(tar[begin : begin + row["bytes"]]).hexdigest()
            assert found == row["sha256"]
    for path in output.glob("*.json"):
        json.loads(path.read_bytes())


def test_ten_kills_of_workers_and_driver_change_no_byte(tmp_path: Path) -> None:
    rows = [{"id": str(n), "text": f"This is text number {n}."} for n in range(N_LINES)]
    jobs = write_jsonl(tmp_path / "jobs.jsonl", rows)
    run_batch(
        [str(jobs)],
        tmp_path / "whole",
        BatchOptions(shard_lines=SHARD),
        FakeMaker(),
        MODEL,
        run_local,
        lambda line: None,
    )
    output, log = tmp_path / "out", tmp_path / "log"
    choose = random.Random(5)
    run = start(jobs, output, log)
    driver_kills = 0
    for kill in range(N_KILLS):
        wait_for_lines(log, n_spoken(log) + choose.randrange(1, 6), run)
        workers = workers_of(run.pid)
        if run.poll() is not None:
            break
        if kill % 3 == 2 or not workers:
            driver_kills += 1
            run.kill()
            run.communicate()
            # Workers see the end of the driver by themselves.
            for worker in workers:
                wait_for(partial(is_gone, worker))
            check_visible(output)
            run = start(jobs, output, log)
        else:
            os.kill(choose.choice(workers), signal.SIGKILL)
    _, errors = run.communicate(timeout=LONG)
    assert run.returncode == 0, errors.decode()
    assert driver_kills >= 2
    assert tree(output) == tree(tmp_path / "whole")
    check_visible(output)
    # A kill of a worker repeats one shard at most, one of the driver those of both workers.
    assert n_spoken(log) <= N_LINES + (N_KILLS + driver_kills) * SHARD
    assert not list(output.glob(".tmp-*"))


pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


class DyingMaker(FakeMaker):
    def open(self) -> object:  # type: ignore[override]
        os._exit(9)


def test_a_shard_that_kills_every_worker_ends_the_run(tmp_path: Path) -> None:
    jobs = write_jsonl(tmp_path / "jobs.jsonl", [{"id": "a", "text": "Hi."}])
    with pytest.raises(DeviceError, match="3 workers died on lines 1 to 1"):
        run_batch(
            [str(jobs)],
            tmp_path / "out",
            BatchOptions(),
            DyingMaker(),
            MODEL,
            run_local,
            lambda line: None,
        )

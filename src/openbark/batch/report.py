"""How far a batch is: a line on the terminal, `progress.json`, Prometheus' text; and what its files say afterwards."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from openbark.batch.commit import (
    commit_bytes,
    commit_table,
    done_shards,
    dumped,
    manifest_name,
    read_manifest,
)
from openbark.batch.plan import Plan, read_plan
from openbark.batch.shard import MANIFEST_SCHEMA, ShardReport
from openbark.errors import ParamError

PROGRESS_FILE = "progress.json"
"""Written every ten seconds while a batch runs."""

SUMMARY_FILE = "summary.json"
"""Written when every shard is there."""

_REPORT_SECONDS = 10.0
_ROWS_PER_MANIFEST = 1_000_000


@dataclass
class JobProgress:
    """Numbers of a batch. The rate and the time left are of this run alone."""

    lines: int
    lines_done: int = 0
    quarantined: int = 0
    shards: int = 0
    shards_done: int = 0
    audio_seconds: float = 0.0
    audio_seconds_per_second: float = 0.0
    seconds_left: float | None = None
    workers: int = 0
    cost: float | None = None

    def line(self) -> str:
        """For people, on one line."""
        share = self.lines_done / self.lines if self.lines else 1.0
        left = "" if self.seconds_left is None else f", {_clock(self.seconds_left)} left"
        cost = "" if self.cost is None else f", cost {self.cost:.2f}"
        return (
            f"{self.lines_done}/{self.lines} lines ({share:.0%}), {self.audio_seconds:.0f} s of audio, "
            f"{self.audio_seconds_per_second:.1f} s/s, {self.quarantined} quarantined, {self.workers} workers{left}{cost}"
        )


class Tracker:
    """Counts reports and tells of them every ten seconds. price: of one worker and hour."""

    def __init__(
        self,
        directory: Path,
        plan: Plan,
        done: set[int],
        n_workers: int,
        price: float | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.progress = JobProgress(plan.n_lines, shards=len(plan.shards), workers=n_workers)
        self._directory = directory
        self._price = price
        self._clock = clock
        self._began = self._told = clock()
        self._made = 0.0
        expected = {shard.index: shard for shard in plan.shards}
        self._expected_left = sum(s.seconds for i, s in expected.items() if i not in done)
        self._expected = {index: shard.seconds for index, shard in expected.items()}
        self.progress.lines_done = sum(expected[index].n_lines for index in done)
        self.progress.shards_done = len(done)

    def add(self, report: ShardReport) -> None:
        """Count a committed shard."""
        progress = self.progress
        progress.lines_done += report.n_lines
        progress.quarantined += report.n_quarantined
        progress.shards_done += 1
        progress.audio_seconds += report.seconds
        self._made += report.seconds
        self._expected_left -= self._expected[report.index]
        elapsed = max(1e-6, self._clock() - self._began)
        progress.audio_seconds_per_second = round(self._made / elapsed, 3)
        if self._made > 0:
            progress.seconds_left = round(max(0.0, self._expected_left) * elapsed / self._made, 1)
        if self._price is not None:
            progress.cost = round(self._price * progress.workers * elapsed / 3600, 4)
        if self._clock() - self._told >= _REPORT_SECONDS:
            self.tell()

    def tell(self) -> None:
        """Write `progress.json`, and the line to stderr: over the last one on a terminal."""
        self._told = self._clock()
        commit_bytes(self._directory / PROGRESS_FILE, dumped(asdict(self.progress)))
        on_terminal = sys.stderr.isatty()
        print(
            ("\r\x1b[K" if on_terminal else "") + self.progress.line(),
            end="" if on_terminal else "\n",
            file=sys.stderr,
            flush=True,
        )


def finish(directory: Path, plan: Plan) -> dict[str, Any]:
    """Write the manifests of all shards as a few large files, and `summary.json`; its content."""
    rows: list[dict[str, Any]] = []
    n_files = 0
    totals = {"lines": 0, "spoken": 0, "quarantined": 0, "audio_seconds": 0.0, "bytes": 0}

    def write() -> None:
        nonlocal n_files, rows
        commit_table(directory / f"manifest-{n_files:05d}.parquet", rows, MANIFEST_SCHEMA)
        n_files, rows = n_files + 1, []

    for shard in plan.shards:
        for row in read_manifest(directory / manifest_name(shard.index)):
            totals["lines"] += 1
            totals["spoken" if row["status"] == "ok" else "quarantined"] += 1
            totals["audio_seconds"] += row["seconds"]
            totals["bytes"] += row["bytes"]
            rows.append(row)
            if len(rows) == _ROWS_PER_MANIFEST:
                write()
    if rows:
        write()
    totals["audio_seconds"] = round(totals["audio_seconds"], 4)
    summary = {**totals, "shards": len(plan.shards), "fingerprint": dict(plan.fingerprint)}
    commit_bytes(directory / SUMMARY_FILE, dumped(summary))
    return summary


def count_quarantined(directory: Path, done: set[int]) -> int:
    """Failed lines of shards that are committed."""
    total = 0
    for path in directory.glob("quarantine-*.jsonl"):
        if int(path.stem.partition("-")[2]) in done:
            with path.open("rb") as stream:
                total += sum(1 for _ in stream)
    return total


def status(directory: Path) -> dict[str, Any]:
    """What the files of a batch say, while it runs or afterwards. Raises ParamError for a folder that holds none."""
    plan = read_plan(directory)
    if plan is None:
        raise ParamError(f"{directory} holds no batch; give the folder that was given with -o")
    done = done_shards(directory)
    n_done = sum(shard.n_lines for shard in plan.shards if shard.index in done)
    found: dict[str, Any] = {
        "lines": plan.n_lines,
        "lines_done": n_done,
        "shards": len(plan.shards),
        "shards_done": len(done),
        "quarantined": count_quarantined(directory, done),
        "finished": (directory / SUMMARY_FILE).exists(),
    }
    path = directory / PROGRESS_FILE
    if path.exists():
        told = json.loads(path.read_bytes())
        found |= {
            name: told[name]
            for name in ("audio_seconds_per_second", "seconds_left", "workers", "cost")
        }
    return found


@contextmanager
def metrics_server(port: int | None, progress: JobProgress) -> Iterator[None]:
    """Prometheus' text at http://127.0.0.1:PORT/metrics while the block runs; None for none."""
    if port is None:
        yield
        return

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            numbers = {k: v for k, v in asdict(progress).items() if v is not None}
            text = "".join(f"openbark_batch_{name} {value}\n" for name, value in numbers.items())
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: Any) -> None:
            """Requests are not worth a line."""

    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except (OSError, OverflowError) as error:
        raise ParamError(f"cannot listen on port {port} for --metrics-port: {error}") from error
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"

"""The HTTP benchmark: its listener's arithmetic, and a run of seconds against a real server."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

pytest.importorskip("fastapi", reason="needs the extra [server]")

from openbark.bench.http_client import Heard
from openbark.bench.http_load import _drift, _spread
from openbark.cli.main import cli


def test_silence_is_what_playback_waits_for() -> None:
    heard = Heard(asked=0.0, pieces=[(1.0, 1.0), (1.5, 1.0), (4.0, 1.0)])
    assert heard.first_audio == 1.0
    assert heard.seconds == 3.0
    assert heard.silence(reserve=0.0) == pytest.approx(1.0)
    assert heard.silence(reserve=0.5) == pytest.approx(0.5)
    assert heard.silence(reserve=2.0) == 0.0


def test_memory_is_flat_or_not_after_the_warm_up() -> None:
    assert _spread([100.0, 200.0, 200.0, 200.0, 210.0]) == pytest.approx(0.05)
    assert _spread([50.0] + [200.0] * 7) == 0.0
    assert _spread([]) is None
    assert _drift([100.0, 100.0, 200.0, 201.0, 210.0, 210.0]) == pytest.approx(210 / 200.5 - 1)
    assert _drift([1.0]) is None


def test_a_short_run_reports_every_phase() -> None:
    arguments = ["bench", "serve", "--http", "--for", "1", "--leavers", "20"]
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["capacity"] > 0
    assert report["steady"]["spoken"] + report["steady"]["refused"] == report["steady"]["asked"]
    assert report["crowd"]["broken"] == 0
    assert report["crowd"]["rss_mb"] and report["crowd"]["rss_spread"] >= 0
    assert report["in_flight_at_end"] == 0

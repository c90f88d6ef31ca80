"""`openbark bench serve`: what it counts, and a whole run on the tiny shape."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from openbark.backends.native.library import library_path
from openbark.bench.load import Listener
from openbark.bench.traffic import Traffic
from openbark.bench.workload import Workload
from openbark.cli.main import cli
from openbark.config import BarkConfig


def test_a_gap_is_a_piece_that_comes_after_the_one_before_was_played() -> None:
    def gaps(*ready: float) -> int:
        return Listener(0.0, ready=dict(enumerate(ready))).gaps([1.0, 2.0, 1.0])

    assert gaps(5.0, 5.5, 6.0) == 0
    assert gaps(5.0, 6.0, 8.0) == 0
    assert gaps(5.0, 6.1, 8.0) == 1
    # Playback that waited once goes on later, and may be in time again.
    assert gaps(5.0, 7.0, 9.0) == 1
    assert gaps(5.0, 7.0, 9.1) == 2


def test_requests_are_the_same_whenever_asked_for_and_differ_in_length() -> None:
    traffic = Traffic(Workload("shape:tiny", 0.5, "none"), BarkConfig.tiny())
    lengths = [traffic.request(number).params.max_semantic_tokens for number in range(20)]
    assert lengths == [traffic.request(number).params.max_semantic_tokens for number in range(20)]
    assert len(set(lengths)) > 10
    assert all(length is not None and 14 <= length <= 35 for length in lengths)


@pytest.mark.skipif(not library_path().exists(), reason="the CPU engine was not built")
def test_a_run_ends_in_one_json_document() -> None:
    result = CliRunner().invoke(
        cli,
        [
            *("bench", "serve", "--model", "shape:tiny", "--seconds", "0.3", "--repeat", "1"),
            *("--for", "0.5", "--load", "0.05", "--clips", "3", "--threads", "1"),
        ],
    )
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout.splitlines()[-1])
    assert report["together"]["tokens_equal"] is True
    assert report["together"]["gains"] == [report["together"]["gain"]]
    assert len(report["together"]["read_gb_per_second"]) == 3
    assert "memory read at" in result.stdout
    ceiling = report["together"]["ceiling"]
    assert set(ceiling["seconds"]) == {"prompts", "draws", "fine", "codec"}
    assert set(ceiling["step_ms"]) == set(ceiling["solo_step_ms"]) == {"semantic", "coarse"}
    assert ceiling["draws_free"] > ceiling["in_turn"] > 0
    assert report["together"]["share_of_ceiling"] == pytest.approx(
        report["together"]["gain"] / ceiling["in_turn"]
    )
    assert "ceiling of this mix" in result.stdout
    assert report["listeners"]["listeners"] >= 1
    assert report["listeners"]["ttfa_p99_seconds"] >= report["listeners"]["ttfa_p50_seconds"] > 0
    assert report["overload"]["rejected"] >= 1
    assert report["overload"]["most_queued"] <= report["max_queued"]
    assert report["overload"]["left_running"] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--clips", "0"), "--clips is 0"),
        (("--load", "0"), "--load is 0"),
        (("--model", "shape:none"), "shape:small"),
        (("--dtype", "int2"), "int8"),
    ],
)
def test_what_cannot_be_measured_is_refused(arguments: tuple[str, ...], message: str) -> None:
    result = CliRunner().invoke(cli, ["bench", "serve", "--model", "shape:tiny", *arguments])
    assert result.exit_code == 2
    assert message in result.output

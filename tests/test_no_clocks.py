"""Tests wait for states and judge no time: on a busy machine a fixed sleep is too short and a fast run slow.

Every sleep is in `waiting.py`, which polls a condition; the files below sleep for a reason of their own.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
CLOCKS = {"monotonic", "perf_counter", "process_time", "thread_time", "time", "time_ns"}
ALLOWED = {
    "waiting.py": "polls a condition",
    "server/fake_speaker.py": "makes speech as late as a test orders it; the clock of the server can be set",
    "server/held_process.py": "polls for a file",
    "server/fake_ray_model.py": "polls an actor of Ray from inside a replica",
    "batch/fake_batch_voice.py": "makes speech as late as a test orders it",
    "engine/test_engine_load.py": "random schedules; no assertion depends on them",
}


def findings(source: str) -> Iterator[str]:
    """Sleeps, and assertions on elapsed time, each with its line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and _is_sleep(node):
            yield f"{node.lineno}: {ast.unparse(node)}: wait for a state with waiting.py"
        elif isinstance(node, ast.Assert) and _reads_a_clock(node.test):
            yield f"{node.lineno}: assert on elapsed time: inject the clock, or wait for the state"


def _is_sleep(call: ast.Call) -> bool:
    name = ast.unparse(call.func)
    yields_only = name == "asyncio.sleep" and [ast.unparse(each) for each in call.args] == ["0"]
    return name.rpartition(".")[2] == "sleep" and not yields_only


def _reads_a_clock(test: ast.expr) -> bool:
    return any(
        isinstance(node, ast.Call)
        and ast.unparse(node.func).startswith("time.")
        and ast.unparse(node.func).removeprefix("time.") in CLOCKS
        for node in ast.walk(test)
    )


def test_tests_neither_sleep_nor_judge_time() -> None:
    found = [
        f"{path.relative_to(TESTS)}:{finding}"
        for path in sorted(TESTS.rglob("*.py"))
        if str(path.relative_to(TESTS)) not in ALLOWED
        for finding in findings(path.read_text(encoding="utf-8"))
    ]
    if found:
        pytest.fail("tests that depend on the clock:\n" + "\n".join(found), pytrace=False)


def test_what_is_allowed_is_there_and_needs_it() -> None:
    for name in ALLOWED:
        assert list(findings((TESTS / name).read_text(encoding="utf-8"))), name


@pytest.mark.parametrize(
    "source",
    [
        "time.sleep(0.5)",
        "async def f():\n    await asyncio.sleep(0.01)",
        "from time import sleep\nsleep(1)",
        "assert time.monotonic() - began < 10",
        "assert 0.1 > time.process_time() - before",
    ],
)
def test_the_rule_is_not_blind(source: str) -> None:
    assert list(findings(source))


@pytest.mark.parametrize(
    "source",
    [
        "async def f():\n    await asyncio.sleep(0)",
        "wait_until(lambda: server.started)",
        "code = 'import time; time.sleep(60)'",
        "assert clip.seconds < 10",
    ],
)
def test_what_depends_on_no_clock_passes(source: str) -> None:
    assert not list(findings(source))

"""Everything that the schema allows, and much that it does not: no 5xx, no status that the schema lacks, and
errors of one shape."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from running_server import RunningServer

schemathesis = pytest.importorskip("schemathesis")

Start = Callable[..., RunningServer]
OPERATIONS = 13
FUZZ = {
    "max_examples": 15,
    "deadline": None,
    "derandomize": True,
    "suppress_health_check": list(HealthCheck),
    "database": None,
}


def check(case: Any) -> None:
    answer = case.call(timeout=20)
    assert answer.status_code < 500, answer.text
    documented = case.operation.definition.raw["responses"]
    assert str(answer.status_code) in documented, (answer.status_code, answer.text)
    if answer.status_code >= 400:
        error = answer.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["message"] and error["type"] and error["code"]
        assert answer.headers["x-request-id"]


def test_every_operation_keeps_its_promises(start: Start, tmp_path: Path) -> None:
    server = start(data_directory=tmp_path / "data", voices_per_key=1000)
    server.wait_for(lambda: server.parts.readiness.ready)
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    checked = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        # Asked with what the schema allows, and with what it does not.
        for mode in schemathesis.GenerationMode:
            try:
                strategy = operation.as_strategy(generation_mode=mode)
                settings(**FUZZ)(given(case=strategy)(lambda case: check(case)))()
            except Unsatisfiable:
                continue
            checked += 1
    assert checked >= OPERATIONS


def test_the_schema_has_every_route(server: RunningServer) -> None:
    document = server.client.get("/openapi.json").json()
    operations = [
        (method, path) for path, methods in document["paths"].items() for method in methods
    ]
    assert len(operations) >= OPERATIONS
    assert ("post", "/v1/audio/speech") in operations
    assert "max_input_chars" in document["info"]["description"]

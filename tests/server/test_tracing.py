"""One trace for each request: its parts, its id, the caller's own trace; and never a text."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running_server import RunningServer

from openbark.errors import MissingExtraError
from openbark.server.speakers.base import StageTime
from openbark.server.tracing import OtelTracing, Tracing, open_tracing

sdk = pytest.importorskip("opentelemetry.sdk.trace", reason="needs opentelemetry-sdk")
exporting = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")

Start = Callable[..., RunningServer]
SECRET = "Marmalade sandwiches at midnight."
BODY = {"input": SECRET, "response_format": "flac"}
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
STAGES = ["semantic", "coarse", "fine", "codec"]


@pytest.fixture
def memory() -> Any:
    return exporting.InMemorySpanExporter()


@pytest.fixture
def traced(start: Start, memory: Any) -> RunningServer:
    provider = sdk.TracerProvider()
    provider.add_span_processor(sdk.export.SimpleSpanProcessor(memory))
    server = start(tracing=OtelTracing(provider))
    server.speaker.stages = tuple(StageTime(name, 1000.0 + i, 0.5) for i, name in enumerate(STAGES))
    return server


def spans(server: RunningServer, memory: Any) -> dict[str, Any]:
    name = "POST /v1/audio/speech"
    server.wait_for(lambda: name in [span.name for span in memory.get_finished_spans()])
    return {span.name: span for span in memory.get_finished_spans()}


@pytest.mark.parametrize(
    "fields", [{}, {"stream_format": "sse"}, {"stream": False}, {"response_format": "mp3"}]
)
def test_a_request_is_one_trace_with_its_parts(
    traced: RunningServer, memory: Any, fields: dict[str, object]
) -> None:
    answer = traced.client.post(
        "/v1/audio/speech", json={**BODY, **fields}, headers={"traceparent": PARENT}
    )
    assert answer.status_code == 200
    found = spans(traced, memory)
    assert sorted(found) == sorted(["POST /v1/audio/speech", "queue", *STAGES, "encode"])
    root = found.pop("POST /v1/audio/speech")
    assert {span.context.trace_id for span in found.values()} == {root.context.trace_id}
    assert {span.parent.span_id for span in found.values()} == {root.context.span_id}
    assert f"{root.context.trace_id:032x}" == PARENT.split("-")[1]
    assert f"{root.parent.span_id:016x}" == PARENT.split("-")[2]
    assert root.attributes["openbark.request_id"] == answer.headers["x-request-id"]
    assert root.attributes["http.response.status_code"] == 200
    assert found["coarse"].end_time - found["coarse"].start_time == 500_000_000
    assert found["queue"].start_time >= root.start_time


def test_no_text_is_in_a_trace_of_a_failure_either(traced: RunningServer, memory: Any) -> None:
    traced.speaker.failure = RuntimeError(SECRET)
    assert traced.client.post("/v1/audio/speech", json=BODY).status_code == 500
    found = spans(traced, memory)
    written = json.dumps([span.to_json() for span in found.values()])
    assert "armalade" not in written
    assert found["POST /v1/audio/speech"].status.status_code.name == "ERROR"
    assert found["POST /v1/audio/speech"].attributes["http.response.status_code"] == 500


def test_other_requests_leave_no_trace(traced: RunningServer, memory: Any) -> None:
    traced.client.get("/health/ready")
    traced.client.get("/v1/audio/voices")
    assert memory.get_finished_spans() == ()


def test_the_real_speaker_tells_its_stages() -> None:
    from openbark.engine.request import CascadeResult
    from openbark.server.speakers.bark_speaker import _stage_times
    from openbark.stages.semantic import StopReason

    timings = {"semantic": 1.0, "coarse": 2.0, "fine": 0.5, "codec": 0.25}
    empty = np.zeros(0, dtype=np.int64)
    result = CascadeResult(
        empty, empty, empty, np.zeros(0, np.float32), next(iter(StopReason)), timings
    )
    found = _stage_times(result)
    assert [(each.stage, each.seconds) for each in found] == list(timings.items())
    for each, following in pairwise(found):
        assert each.began + each.seconds == pytest.approx(following.began)


def test_traces_are_off_unless_there_is_somewhere_to_send_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    assert type(open_tracing(None)) is Tracing
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    for endpoint in ("http://127.0.0.1:4318/v1/traces", None):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
        with pytest.raises(MissingExtraError, match=r"openbark\[otel\]"):
            open_tracing(endpoint)


def test_without_the_packages_the_server_is_the_same(
    start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in [name for name in sys.modules if name.startswith("opentelemetry")]:
        monkeypatch.setitem(sys.modules, name, None)
    server = start()
    assert server.client.post("/v1/audio/speech", json=BODY).status_code == 200

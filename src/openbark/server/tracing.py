"""One trace for each request for speech, through OpenTelemetry where that is configured.

Without it, and without its packages, everything here does nothing. Spans carry numbers, names of ours and the
request's id; never a text, which is why exceptions are not recorded.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from openbark import __version__
from openbark.errors import MissingExtraError

Attributes = Mapping[str, str | int | float]
"""What a span carries."""

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_NANO = 10**9
_FIRST_FAULT = 500


class Tracing:
    """No traces; the interface of those there are."""

    @contextmanager
    def request(
        self, name: str, headers: Mapping[str, str], attributes: Attributes
    ) -> Iterator[Callable[[int], None]]:
        """A span around a request, whose parent is that of its `traceparent` header. Gives what to tell the
        status of the answer to."""
        yield lambda status: None

    def span(
        self, name: str, began: float, seconds: float, attributes: Attributes | None = None
    ) -> None:
        """A part of the request around it that is over. began: Unix seconds."""

    def close(self) -> None:
        """Send what was not sent yet. Blocks; for threads."""


class OtelTracing(Tracing):
    """Traces of one OpenTelemetry provider, which this closes."""

    def __init__(self, provider: Any) -> None:
        from opentelemetry.trace import SpanKind, Status, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self._tracer = provider.get_tracer("openbark", __version__)
        self._kind = SpanKind.SERVER
        self._failed = Status(StatusCode.ERROR)
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def request(
        self, name: str, headers: Mapping[str, str], attributes: Attributes
    ) -> Iterator[Callable[[int], None]]:
        """As `Tracing.request`."""
        started = self._tracer.start_as_current_span(
            name,
            context=self._propagator.extract(headers),
            kind=self._kind,
            attributes=dict(attributes),
            record_exception=False,
            set_status_on_exception=False,
        )
        with started as span:

            def answered(status: int) -> None:
                span.set_attribute("http.response.status_code", status)
                if status >= _FIRST_FAULT:
                    span.set_status(self._failed)

            yield answered

    def span(
        self, name: str, began: float, seconds: float, attributes: Attributes | None = None
    ) -> None:
        """As `Tracing.span`."""
        first = int(began * _NANO)
        span = self._tracer.start_span(name, start_time=first, attributes=dict(attributes or {}))
        span.end(end_time=first + int(seconds * _NANO))

    def close(self) -> None:
        """As `Tracing.close`."""
        self._provider.shutdown()


def open_tracing(endpoint: str | None) -> Tracing:
    """Traces to an OTLP endpoint (HTTP), that of OpenTelemetry's own variables when none is given, or none at all.

    Raises MissingExtraError when there is an endpoint and no package to send with.
    """
    if endpoint is None and not any(os.environ.get(name) for name in _ENDPOINTS):
        return Tracing()
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise MissingExtraError(
            "traces need OpenTelemetry; install it with pip install 'openbark[otel]', or unset "
            "otlp_endpoint and OTEL_EXPORTER_OTLP_ENDPOINT"
        ) from error
    name = os.environ.get("OTEL_SERVICE_NAME", "openbark")
    resource = Resource.create({"service.name": name, "service.version": __version__})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    return OtelTracing(provider)

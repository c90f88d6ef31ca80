"""What operators watch: gauges, histograms and counters in Prometheus' text format.

One object per application, with a registry of its own: two servers in one process do not share counts.
Holds no text of any request.
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from openbark.server.speakers.watched import FAULTS

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3.0, 6.0, 12.0, 30.0, 60.0, 120.0, 300.0, 600.0)
_FACTORS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0, 4.0, 8.0)


class Metrics:
    """Counts of one server. Outcomes: "ok", "cancelled", "failed", "rejected", "invalid"."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        self.requests = Counter(
            "openbark_requests", "Speech requests by outcome.", ["outcome"], registry=registry
        )
        self.audio_seconds = Counter(
            "openbark_audio_seconds", "Seconds of audio sent.", registry=registry
        )
        self.faults = Counter(
            "openbark_faults",
            "Times the server was found unfit to speak.",
            ["kind"],
            registry=registry,
        )
        for kind in FAULTS:
            self.faults.labels(kind)
        self.first_audio = Histogram(
            "openbark_first_audio_seconds",
            "Seconds from a request to its first audio.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.total = Histogram(
            "openbark_request_seconds",
            "Seconds from a request to its last audio.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.real_time_factor = Histogram(
            "openbark_real_time_factor",
            "Wall seconds per audio second of whole requests.",
            buckets=_FACTORS,
            registry=registry,
        )
        self._gauges: list[tuple[Gauge, Callable[[], float]]] = []

    def watch(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """A gauge whose value is read when the metrics are."""
        gauge = Gauge(f"openbark_{name}", help_text, registry=self._registry)
        gauge.set_function(read)
        self._gauges.append((gauge, read))

    def text(self) -> bytes:
        """All of it, in Prometheus' format."""
        return generate_latest(self._registry)

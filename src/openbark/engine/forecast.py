"""How much audio a request will be and how long a queue will take: estimates that learn from what was made.

Knows no queue and no clock.
"""

from __future__ import annotations

from openbark.config import BarkConfig
from openbark.engine.request import CascadeResult, Request
from openbark.stages.semantic import token_limit

_SECONDS_PER_TOKEN = 0.3
"""Of an English text in word pieces, at the pace of someone who reads aloud."""

_MEMORY = 20.0
"""Requests after which the first guess has lost most of its weight."""

_LEAST_WAIT, _MOST_WAIT = 1.0, 120.0


class Forecast:
    """Estimates for one model on one machine."""

    def __init__(self, config: BarkConfig) -> None:
        self._config = config
        self._per_token = _SECONDS_PER_TOKEN
        self._audio_seconds = 0.0

    def seconds(self, request: Request) -> float:
        """Audio seconds that the request will be, never more than its own limits."""
        rules = self._config.semantic_rules
        most = token_limit(request.params, rules).n_tokens / rules.rate_hz
        if not request.params.allow_early_stop:
            return most
        return min(most, len(request.text_tokens) * self._per_token)

    def learn(self, request: Request, result: CascadeResult) -> None:
        """Take a finished request into account."""
        seconds = result.fine.shape[1] / self._config.coarse_rules.rate_hz
        self._audio_seconds += seconds
        if request.params.allow_early_stop and len(request.text_tokens):
            share = seconds / len(request.text_tokens)
            self._per_token += (share - self._per_token) / _MEMORY

    @property
    def audio_seconds(self) -> float:
        """Audio seconds of all finished requests."""
        return self._audio_seconds

    def wait(self, queued_seconds: float, busy_seconds: float) -> float:
        """Seconds until `queued_seconds` of audio are made, by the speed of the `busy_seconds` so far."""
        speed = self._audio_seconds / busy_seconds if self._audio_seconds > 0 else 1.0
        return min(max(queued_seconds / speed, _LEAST_WAIT), _MOST_WAIT)

"""Pydantic's findings as one error of OpenAI's shape: 400, the field, what is legal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from openbark.server.errors import ApiError, invalid

__all__ = ["invalid_request"]

_CODES = {
    "speed": "speed_out_of_range",
    "response_format": "format_unsupported",
    "input": "input_invalid",
    "voice": "voice_invalid",
}


def invalid_request(findings: Sequence[Any]) -> ApiError:
    """The answer for a body or parameter that does not fit its model; tells the first finding."""
    finding = findings[0]
    if finding["type"].startswith("json"):
        return invalid(
            "invalid_json", f"the body is no JSON: {finding.get('ctx', {}).get('error', '')}"
        )
    path = [str(part) for part in finding["loc"] if part not in ("body", "query", "path")]
    name = path[0] if path else None
    given = finding.get("input")
    shown = f" is {given!r}"[:200] if name and finding["type"] != "missing" else ""
    message = f"{'.'.join(path) or 'the body'}{shown}: {finding['msg']}"
    return invalid(_CODES.get(name or "", "parameter_invalid"), message, name)

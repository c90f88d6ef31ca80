"""What is wrong with a body or a parameter, as one error in OpenAI's shape: the field, what is allowed, what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from openbark.server.errors import ApiError, invalid

_JSON_TYPES = (
    "application/json",
    "application/jsonl",
    "application/x-ndjson",
    "application/ndjson",
)
# Where a finding is, and the types of which a field may be one: no names of fields.
_NOT_IN_PATH = ("body", "query", "path", "str", "VoiceId")
_MAX_SHOWN = 80
_CODES: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("speed", "range"): "speed_out_of_range",
        ("response_format", "choice"): "format_unsupported",
        ("voice", "type"): "voice_invalid",
        ("input", "type"): "input_invalid",
        ("input", "missing"): "input_empty",
    }
)
_TYPES = MappingProxyType(
    {
        "string": "a text in quotes",
        "int": "a whole number",
        "float": "a number",
        "finite_number": "a number that is not infinite",
        "bool": "true or false",
        "dict": "an object",
        "model": "an object",
        "model_attributes": "an object",
        "list": "a list",
    }
)
_BOUNDS = (("ge", "from {}"), ("gt", "more than {}"), ("le", "up to {}"), ("lt", "less than {}"))


def is_json_type(content_type: str | None) -> bool:
    """Whether a `Content-Type` is JSON or JSON lines."""
    kind = (content_type or "").partition(";")[0].strip().lower()
    return kind in _JSON_TYPES or (kind.startswith("application/") and kind.endswith("+json"))


def check_json_type(content_type: str | None) -> None:
    """Raise ApiError 415 unless a `Content-Type` is JSON or JSON lines. Web pages of other sites may send any other
    type without being asked, hence no guess."""
    if not is_json_type(content_type):
        given = f"it is {content_type!r}" if content_type else "it is missing"
        raise invalid(
            "media_unsupported",
            f"the body needs the header 'Content-Type: application/json'; {given} "
            "(curl: -H 'Content-Type: application/json')",
            status=415,
        )


def invalid_request(findings: Sequence[Any]) -> ApiError:
    """The answer for a body or parameter that does not fit its model; tells the first finding."""
    finding = findings[0]
    kind: str = finding["type"]
    context: Mapping[str, Any] = finding.get("ctx", {})
    if kind.startswith("json"):
        return invalid("invalid_json", f"the body is not JSON: {context.get('error', '')}")
    path = [str(part) for part in finding["loc"] if part not in _NOT_IN_PATH]
    name = path[0] if path else None
    where = ".".join(path) or "the body"
    sort, allowed = _allowed(kind, context, finding["msg"])
    if name == "voice":
        allowed = 'a name, or an object such as {"id": "voice_..."}'
    code = _CODES.get((name or "", sort), "parameter_invalid")
    if sort == "missing":
        return invalid(code, f"{where} is missing; send it with the request", name)
    return invalid(code, f"{where} is {_shown(finding.get('input'))}; allowed: {allowed}", name)


def _allowed(kind: str, context: Mapping[str, Any], message: str) -> tuple[str, str]:
    """The sort of a finding (missing, choice, range, length, type, other), and what is allowed instead."""
    if kind == "missing":
        return "missing", ""
    if kind in ("literal_error", "enum"):
        return "choice", str(context.get("expected", "")).replace("'", "")
    for bound, words in _BOUNDS:
        if bound in context:
            return "range", words.format(context[bound])
    if "max_length" in context or "min_length" in context:
        low, high = context.get("min_length"), context.get("max_length")
        return "length", f"at most {high} of them" if high is not None else f"at least {low}"
    for name, words in _TYPES.items():
        if kind.startswith(name):
            return "type", words
    return "other", message


def _shown(value: Any) -> str:
    """A value of the client for a message: short, and never the text of an object."""
    if value is None or isinstance(value, bool):
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, str | int | float):
        shown = repr(value)
        return shown if len(shown) <= _MAX_SHOWN else f"{shown[:_MAX_SHOWN]}..."
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if isinstance(value, list | tuple) else "bytes that are not JSON"

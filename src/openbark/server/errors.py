"""What a client is told when something is wrong: one body shape, OpenAI's, for every status.

    {"error": {"message", "type", "param", "code"}}

Knows which statuses the official clients retry (408, 409, 429, 5xx), hence no 409 and `x-should-retry`.
"""

from __future__ import annotations

import errno
import logging
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from openbark.errors import (
    AudioError,
    BusyError,
    CancelledError,
    DeadlineError,
    InputError,
    OpenBarkError,
    ParamError,
    TextError,
    VoiceError,
)

_log = logging.getLogger("openbark.server")

ErrorBody = dict[str, dict[str, str | None]]
"""The body of every error, ready for JSON."""

MAX_RETRY_AFTER = 120
"""Seconds; the longest wait that a `Retry-After` of ours names: OpenAI's clients give up on a longer one."""

_FULL = (errno.ENOSPC, errno.EDQUOT)
_MEMORY_WAIT_SECONDS = 10.0

_INPUT_CODES: Mapping[type[InputError], tuple[str, str | None]] = MappingProxyType(
    {
        TextError: ("input_invalid", "input"),
        VoiceError: ("voice_invalid", "voice"),
        ParamError: ("parameter_invalid", None),
        AudioError: ("audio_invalid", None),
    }
)


class ApiError(Exception):
    """An answer that is an error: status, the fields of the body, extra headers.

    code: a word for programs; param: the field of the request at fault; retry_after: seconds.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        code: str,
        message: str,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.code = code
        self.message = message
        self.param = param
        self.headers = dict(headers or {})

    @property
    def body(self) -> ErrorBody:
        """The JSON of the answer."""
        return {
            "error": {
                "message": self.message,
                "type": self.kind,
                "param": self.param,
                "code": self.code,
            }
        }


def invalid(code: str, message: str, param: str | None = None, status: int = 400) -> ApiError:
    """The caller can fix it (400, or 413 and 415 for uploads)."""
    return ApiError(status, "invalid_request_error", code, message, param)


def too_large(message: str, param: str | None = None) -> ApiError:
    """More bytes than the server takes (413)."""
    return invalid("too_large", message, param, status=413)


def not_found(code: str, message: str, param: str | None = None) -> ApiError:
    """No such resource (404); the same whether it is missing or belongs to another key."""
    return ApiError(404, "not_found_error", code, message, param)


def unauthorized() -> ApiError:
    """The key is missing or wrong (401)."""
    return ApiError(
        401,
        "authentication_error",
        "invalid_api_key",
        "this server wants an API key: send the header 'Authorization: Bearer KEY' with a valid one",
        headers={"WWW-Authenticate": "Bearer"},
    )


def timed_out(code: str, message: str, status: int = 504) -> ApiError:
    """A deadline passed (408 while reading the request, 504 after). The same request would fail again."""
    return ApiError(status, "timeout_error", code, message, headers={"x-should-retry": "false"})


def busy(message: str, retry_after: float, code: str = "overloaded") -> ApiError:
    """No room now (503), with the seconds after which it is worth asking again."""
    return ApiError(503, "server_error", code, message, headers=_retry_headers(retry_after))


def not_ready(fault: str) -> ApiError:
    """The server cannot speak now (503), and why."""
    return busy(f"the server is not ready: {fault}", 5.0, "not_ready")


def shutting_down(retry_after: float) -> ApiError:
    """The server is leaving (503); the connection closes so that the next try reaches another one."""
    error = busy("the server is shutting down", retry_after, "shutting_down")
    error.headers["Connection"] = "close"
    return error


def quota_exceeded(message: str, retry_after: float) -> ApiError:
    """This key has enough running already (429)."""
    return ApiError(
        429,
        "rate_limit_error",
        "rate_limit_exceeded",
        message,
        headers=_retry_headers(retry_after),
    )


def internal_error(request_id: str) -> ApiError:
    """A bug of ours (500): the details are in the log, under the request id."""
    return ApiError(
        500,
        "server_error",
        "internal",
        f"something went wrong inside the server; its log has the details under request {request_id}",
    )


def storage_failed(error: OSError) -> ApiError:
    """The server's own folder cannot be read or written (507 when it is full, else 500): not the client's fault.
    Its path is in the log alone."""
    _log.error("the data folder cannot be used: %s", error)
    if error.errno in _FULL:
        status, code, what = 507, "storage_full", "the server's disk is full"
    else:
        status, code, what = 500, "storage_failed", "the server cannot use its data folder"
    message = f"{what}; nothing was changed; its operator has to look at the log"
    return ApiError(status, "server_error", code, message, headers={"x-should-retry": "false"})


def to_api_error(error: Exception, request_id: str) -> ApiError:
    """The answer for any exception; those that are not ours become `internal_error`."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, MemoryError):
        message = (
            "the server has not enough memory for this now; try again later, or send less text"
        )
        return busy(message, _MEMORY_WAIT_SECONDS, "out_of_memory")
    if isinstance(error, BusyError):
        return busy(str(error), getattr(error, "retry_after", None) or 1.0)
    if isinstance(error, DeadlineError):
        return timed_out("deadline_exceeded", str(error))
    if isinstance(error, CancelledError):
        return ApiError(499, "cancelled_error", "cancelled", str(error))
    if isinstance(error, InputError):
        for kind, (code, param) in _INPUT_CODES.items():
            if isinstance(error, kind):
                return invalid(code, str(error), param)
        return invalid("invalid_request", str(error))
    if isinstance(error, OpenBarkError):
        return ApiError(500, "server_error", "server_fault", str(error))
    return internal_error(request_id)


def _retry_headers(retry_after: float) -> dict[str, str]:
    seconds: Any = min(MAX_RETRY_AFTER, max(1, math.ceil(retry_after)))
    return {"Retry-After": str(seconds)}

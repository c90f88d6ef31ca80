"""Many texts in one request: OpenAI's batch lines in, one answer line each out, in order.

A line that is wrong or fails has its error in its own answer; the others go on.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from openbark.errors import OpenBarkError
from openbark.server.errors import ApiError, invalid, to_api_error
from openbark.server.protocol import SpeechRequest
from openbark.server.serving import Job, SpeechService
from openbark.server.validation import invalid_request

__all__ = ["BatchLine", "LineJob", "answer_lines", "read_jobs"]

_URL = "/v1/audio/speech"
_AT_ONCE = 4


class BatchLine(BaseModel):
    """One line of a batch file."""

    model_config = ConfigDict(extra="forbid")

    custom_id: str = Field(min_length=1, max_length=512)
    method: str = "POST"
    url: str = _URL
    body: dict[str, Any]


@dataclass(frozen=True, eq=False)
class LineJob:
    """A line after its checks: a job, or the error that it has become."""

    custom_id: str
    job: Job | None
    error: ApiError | None


def read_jobs(service: SpeechService, data: bytes, owner: str, request_id: str) -> list[LineJob]:
    """The jobs of a batch body. Raises ApiError for a body that is no batch: no lines, too many, one that
    is not a line, a custom_id twice."""
    lines = [line for line in data.splitlines() if line.strip()]
    limit = service.settings.max_batch_lines
    if not lines or len(lines) > limit:
        raise invalid("batch_size", f"the body has {len(lines)} lines; legal: 1..{limit}")
    seen: set[str] = set()
    jobs = []
    for number, raw in enumerate(lines, 1):
        line = _line(raw, number)
        if line.custom_id in seen:
            raise invalid(
                "duplicate_id", f"line {number}: custom_id {line.custom_id!r} was there before"
            )
        seen.add(line.custom_id)
        jobs.append(_job(service, line, owner, f"{request_id}.{number}"))
    return jobs


async def answer_lines(service: SpeechService, jobs: list[LineJob]) -> AsyncGenerator[bytes, None]:
    """One JSON line for each job, in order; a few are spoken at once."""
    places = asyncio.Semaphore(min(_AT_ONCE, service.settings.streams_per_key))

    async def speak(line: LineJob) -> bytes:
        async with places:
            return await _answer(service, line)

    tasks = [asyncio.ensure_future(speak(line)) for line in jobs]
    try:
        for task in tasks:
            yield await task
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _line(raw: bytes, number: int) -> BatchLine:
    try:
        line = BatchLine.model_validate_json(raw)
    except ValidationError as error:
        found = invalid_request(error.errors())
        raise invalid("invalid_line", f"line {number}: {found.message}", found.param) from error
    if (line.method, line.url) != ("POST", _URL):
        raise invalid(
            "invalid_line", f"line {number} asks for {line.method} {line.url}; legal: POST {_URL}"
        )
    return line


def _job(service: SpeechService, line: BatchLine, owner: str, request_id: str) -> LineJob:
    try:
        request = SpeechRequest.model_validate(line.body)
        return LineJob(line.custom_id, service.prepare(request, owner, request_id), None)
    except ValidationError as error:
        return LineJob(line.custom_id, None, invalid_request(error.errors()))
    except (ApiError, OpenBarkError) as error:
        return LineJob(line.custom_id, None, to_api_error(error, request_id))


async def _answer(service: SpeechService, line: LineJob) -> bytes:
    error = line.error
    response: dict[str, Any] | None = None
    if line.job is not None:
        try:
            data, usage = await service.whole(line.job)
        except (ApiError, OpenBarkError) as failure:
            error = to_api_error(failure, line.job.request_id)
        else:
            response = {
                "status_code": 200,
                "request_id": line.job.request_id,
                "body": {
                    "audio": base64.b64encode(data).decode(),
                    "format": line.job.request.response_format,
                    "seed": line.job.utterance.seed,
                    "usage": usage.model_dump(),
                },
            }
    if error is not None:
        response = {"status_code": error.status, "body": error.body}
    answer = {"custom_id": line.custom_id, "response": response, "error": None}
    return json.dumps(answer).encode() + b"\n"

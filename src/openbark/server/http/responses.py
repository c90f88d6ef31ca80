"""An answer that is audio being made: headers wait for the first bytes, a client that left or sleeps frees
its place, and a failure on the way never looks like a whole file.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import aclosing
from typing import Any, TypeVar

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from openbark.server.errors import timed_out

_T = TypeVar("_T")


class ClientLeftError(Exception):
    """The client closed its connection; an answer would reach no one."""


class AudioResponse(Response):
    """Streams bytes of a generator, which is closed whatever happens.

    An error before the first bytes becomes an ordinary error answer; a later one breaks the connection.
    total_timeout: seconds to the last bytes, None without such a limit. How long the audio may take is limited where
    it is made (`serving`), how long a client may not read by `connections`.
    """

    def __init__(
        self,
        content: AsyncGenerator[bytes, None],
        media_type: str,
        headers: Mapping[str, str],
        total_timeout: float | None = None,
    ) -> None:
        self.status_code = 200
        self.background = None
        self.media_type = media_type
        self.init_headers(headers)
        self._content = content
        self._total_timeout = total_timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it all, or stop when the client leaves."""
        sending = asyncio.ensure_future(self._send(send))
        watching = asyncio.ensure_future(_until_left(receive))
        try:
            await asyncio.wait({sending, watching}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                await sending
        finally:
            for task in (sending, watching):
                task.cancel()
            # Both are awaited, so that the generator has cleaned up when this returns.
            await asyncio.gather(sending, watching, return_exceptions=True)

    async def _send(self, send: Send) -> None:
        try:
            async with asyncio.timeout(self._total_timeout), aclosing(self._content) as content:
                first = await _first(content)
                await send(
                    {
                        "type": "http.response.start",
                        "status": self.status_code,
                        "headers": self.raw_headers,
                    }
                )
                await _give(send, first, True)
                async for data in content:
                    if data:
                        await _give(send, data, True)
            await _give(send, b"", False)
        except TimeoutError as error:
            raise timed_out(
                "deadline_exceeded",
                f"not done within {self._total_timeout:g} s (total_timeout)",
            ) from error


async def _first(content: AsyncGenerator[bytes, None]) -> bytes:
    async for data in content:
        if data:
            return data
    return b""


async def _give(send: Send, data: bytes, more: bool) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": more})


async def unless_left(
    receive: Receive, work: Coroutine[Any, Any, _T], timeout: float | None = None
) -> _T:
    """The result of `work`, which is cancelled when the client leaves first (ClientLeftError).

    Raises ApiError 504 after `timeout` seconds.
    """
    working = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(_until_left(receive))
    try:
        both = {working, watching}
        done, _ = await asyncio.wait(both, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if working in done:
            return await working
        if watching in done:
            raise ClientLeftError
        raise timed_out("deadline_exceeded", f"not done within {timeout:g} s")
    finally:
        for task in (working, watching):
            task.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)


async def _until_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

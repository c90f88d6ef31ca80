"""Work on the server's own folder: in a thread, and its failures are the server's, not the client's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

from openbark.server.errors import storage_failed

__all__ = ["stored"]

_Ts = TypeVarTuple("_Ts")
_T = TypeVar("_T")


async def stored(work: Callable[[*_Ts], _T], *arguments: *_Ts) -> _T:
    """The result of `work`. Raises ApiError 507 for a full disk, 500 for another failure of the folder."""
    try:
        return await asyncio.to_thread(work, *arguments)
    except OSError as error:
        raise storage_failed(error) from error

"""Files of clients in a folder of the server's: each with a card, a JSON file that says whose it is.

A client's name for something is text inside its card, never part of a path. Failures of the folder are the server's,
not the client's.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import secrets
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Generic, TypeVar, TypeVarTuple

from openbark.errors import VoiceError
from openbark.files import write_atomically
from openbark.server.errors import storage_failed

_log = logging.getLogger("openbark.server")

_Ts = TypeVarTuple("_Ts")
_T = TypeVar("_T")


@dataclass(frozen=True)
class Card:
    """What is known of a file. owner: name of the key that sent it; created_at: Unix seconds."""

    id: str
    name: str
    owner: str
    created_at: int


_C = TypeVar("_C", bound=Card)


def new_id(prefix: str) -> str:
    """An id that was never given."""
    return f"{prefix}_{secrets.token_hex(12)}"


async def stored(work: Callable[[*_Ts], _T], *arguments: *_Ts) -> _T:
    """The result of `work` on a store, done in a thread. Raises ApiError 507 for a full disk, 500 for another failure
    of the folder."""
    try:
        return await asyncio.to_thread(work, *arguments)
    except OSError as error:
        raise storage_failed(error) from error


class FolderStore(Generic[_C]):
    """The files of a folder, indexed once; safe to use from several threads.

    Raises VoiceError when the folder cannot be made. Files that are not ours, and damaged ones, are left alone.
    """

    def __init__(self, directory: Path, card: type[_C], prefix: str, suffix: str) -> None:
        """card: its type, whose fields are texts but for `created_at`; prefix: of every id; suffix: of the files."""
        self._directory = directory
        self._suffix = suffix
        self._lock = threading.Lock()
        what = card.__name__.removeprefix("Stored").lower()
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise VoiceError(f"{what}s cannot be kept in {directory}: {error}") from error
        form = re.compile(rf"{prefix}_[0-9a-f]{{24}}")
        found = (
            _read(path, card, form, what) for path in sorted(directory.glob(f"{prefix}_*.json"))
        )
        self._cards = {each.id: each for each in found if each is not None}

    def of(self, owner: str) -> list[_C]:
        """The cards of a key, oldest first."""
        with self._lock:
            mine = [each for each in self._cards.values() if each.owner == owner]
        return sorted(mine, key=lambda each: (each.created_at, each.id))

    def get(self, card_id: str, owner: str) -> _C | None:
        """A card of this owner; None when it is missing or belongs to another key."""
        with self._lock:
            found = self._cards.get(card_id)
        return found if found is not None and found.owner == owner else None

    def path(self, card: Card) -> Path:
        """Where its file is."""
        return self._directory / f"{card.id}.{self._suffix}"

    def add(self, card: _C, data: bytes, check: Callable[[Sequence[_C]], None]) -> None:
        """Keep a file. `check` is asked, with the cards of the owner, at the moment this one is taken, and raises
        where it may not be. Raises OSError when the folder cannot be written; then nothing is left of it."""
        with self._lock:
            check([each for each in self._cards.values() if each.owner == card.owner])
            self._cards[card.id] = card
        try:
            write_atomically(self.path(card), data)
            # Last, since a file without its card does not exist.
            self._write_card(card)
        except BaseException:
            self.forget(card)
            with suppress(OSError):
                self.path(card).unlink(missing_ok=True)
            raise

    def replace(self, card: _C) -> _C:
        """Put a card in the place of the one with its id. Raises OSError."""
        self._write_card(card)
        with self._lock:
            self._cards[card.id] = card
        return card

    def remove(self, card: _C) -> None:
        """Remove a file and its card. Raises OSError when they cannot be removed; then it is still there."""
        self._card_path(card).unlink(missing_ok=True)
        self.forget(card)
        self.path(card).unlink(missing_ok=True)

    def forget(self, card: _C) -> None:
        """Leave a card out of the index alone."""
        with self._lock:
            self._cards.pop(card.id, None)

    def _card_path(self, card: Card) -> Path:
        return self._directory / f"{card.id}.json"

    def _write_card(self, card: _C) -> None:
        write_atomically(self._card_path(card), json.dumps(asdict(card)).encode())


def _read(path: Path, card: type[_C], form: re.Pattern[str], what: str) -> _C | None:
    """The card in a file; None, and a line in the log, for a file that is not one."""
    try:
        found = card(**json.loads(path.read_text(encoding="utf-8")))
        is_card = isinstance(found.created_at, int) and all(
            isinstance(value := getattr(found, each.name), str) or value == each.default
            for each in fields(card)
            if each.name != "created_at"
        )
    except (OSError, ValueError, TypeError, RecursionError):
        is_card = False
    if not (is_card and form.fullmatch(found.id) and path.stem == found.id):
        _log.warning("%s is not the card of a %s; it is left alone", path.name, what)
        return None
    return found

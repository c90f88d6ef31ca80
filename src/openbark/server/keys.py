"""API keys: who may ask, and how much at once. A key is never stored, only its SHA-256.

A key file holds one key a line: `NAME sha256:HEX`, written by `openbark serve --make-key NAME`.
Keys made by us have 256 random bits, so one round of SHA-256 is enough; a comparison takes the same time
whether it fits or not.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from openbark.errors import ParamError

_PREFIX = "sha256:"
_LINE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,63})\s+sha256:([0-9a-f]{64})")


def new_key() -> str:
    """A fresh key for a person to keep."""
    return f"ob-{secrets.token_urlsafe(32)}"


def hash_key(key: str) -> str:
    """What the server keeps of a key."""
    return _PREFIX + hashlib.sha256(key.encode()).hexdigest()


def key_line(name: str, key: str) -> str:
    """The line of a key file that admits `key` under `name`. Raises ParamError for an odd name."""
    line = f"{name} {hash_key(key)}"
    if not _LINE.fullmatch(line):
        raise ParamError(
            f"{name!r} is not a name for a key; allowed: up to 64 letters, digits, '.', '_', '-', the first "
            "a letter or digit"
        )
    return line


@dataclass(frozen=True)
class KeyRing:
    """The keys a server admits, by name. Without any, everybody is admitted as ''."""

    hashes: tuple[tuple[str, str], ...] = ()

    @classmethod
    def read(cls, path: Path | None, plain: str | None = None) -> KeyRing:
        """The keys of a file, and one plain key (of the environment) under the name "default".

        Raises ParamError naming the line that is not a key, and for a file or a plain key that is empty: a server
        that was given one is never to be open.
        """
        if plain is not None and not plain.strip():
            raise ParamError("the API key is empty; give one, or leave the setting out")
        hashes = [] if plain is None else [("default", hash_key(plain.strip()))]
        if path is not None:
            try:
                lines = path.read_text(encoding="utf-8-sig").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise ParamError(f"the key file {path} cannot be read as text: {error}") from error
            n_before = len(hashes)
            for number, line in enumerate(lines, 1):
                if not line.strip() or line.lstrip().startswith("#"):
                    continue
                match = _LINE.fullmatch(line.strip())
                if match is None:
                    raise ParamError(
                        f"{path}, line {number}: not a key; expected 'NAME sha256:64-HEX-DIGITS'"
                    )
                hashes.append((match[1], _PREFIX + match[2]))
            if len(hashes) == n_before:
                raise ParamError(
                    f"the key file {path} holds no key; add one: openbark serve --make-key NAME >> {path}, or leave "
                    "the file out"
                )
        return cls(tuple(hashes))

    @property
    def required(self) -> bool:
        """Whether a key is needed at all."""
        return bool(self.hashes)

    def owner(self, authorization: str | None) -> str | None:
        """Name of the key in an `Authorization` header; "" where none is needed, None when it is wrong."""
        if not self.required:
            return ""
        scheme, _, key = (authorization or "").partition(" ")
        offered = hash_key(key.strip()) if scheme.lower() == "bearer" else ""
        found = None
        for name, known in self.hashes:
            # Every hash is compared, so that the time does not tell which one came near.
            if hmac.compare_digest(offered, known):
                found = name
        return found

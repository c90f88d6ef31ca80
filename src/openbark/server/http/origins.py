"""Which web pages may use the server from a browser: its own, and those of `cors_origins`. Knows no routes.

A browser sends `Origin` with everything but plain reads, and a page of another site can send some requests without
being asked. They are refused here, whatever they carry: without this any page could use a server on the same machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Message, Scope

from openbark.server.errors import ApiError

_ANY = "*"
_READS = ("GET", "HEAD", "OPTIONS")
_FOREIGN_SITES = ("cross-site", "same-site")
_METHODS = "GET, POST, DELETE, OPTIONS"
_EXPOSED = "x-request-id, x-seed, x-sample-rate, x-input-tokens, x-output-tokens, x-openbark-warning, retry-after"
_PREFLIGHT_SECONDS = "600"
_DEFAULT_PORTS = {"http": "80", "https": "443"}


class Origins:
    """The origins that are allowed besides the server's own, such as "https://app.example"; "*" is any."""

    def __init__(self, allowed: Iterable[str]) -> None:
        self._allowed = frozenset(origin.rstrip("/").lower() for origin in allowed)

    def check(self, scope: Scope, headers: Headers) -> None:
        """Raise ApiError 403 for a request that a page of another site has sent, unless it is only a read."""
        is_read = scope["type"] != "websocket" and scope.get("method") in _READS
        origin = headers.get("origin") or None
        if is_read or self.allows(origin) or (origin and _is_same(origin, headers)):
            return
        if origin is None and headers.get("sec-fetch-site") not in _FOREIGN_SITES:
            return
        shown = repr(origin) if origin else "another site"
        raise ApiError(
            403,
            "permission_error",
            "origin_not_allowed",
            f"a web page of {shown} may not use this server; its operator can allow it: "
            f"openbark serve --cors-origin {origin or 'ORIGIN'}",
        )

    def allows(self, origin: str | None) -> bool:
        """Whether an origin is one of those that were allowed by name, or all are."""
        return origin is not None and (_ANY in self._allowed or origin.lower() in self._allowed)

    def is_preflight(self, scope: Scope, headers: Headers) -> bool:
        """Whether a browser asks, before the request itself, for an origin that is allowed."""
        is_asked = "access-control-request-method" in headers
        return scope.get("method") == "OPTIONS" and is_asked and self.allows(headers.get("origin"))

    def preflight_headers(self, headers: Headers) -> Sequence[tuple[bytes, bytes]]:
        """Headers of the answer to such a question."""
        asked = headers.get("access-control-request-headers", "")
        found = {
            "access-control-allow-origin": headers["origin"],
            "access-control-allow-methods": _METHODS,
            "access-control-allow-headers": asked or "authorization, content-type",
            "access-control-max-age": _PREFLIGHT_SECONDS,
            "vary": "Origin",
            "content-length": "0",
        }
        if headers.get("access-control-request-private-network") == "true":
            found["access-control-allow-private-network"] = "true"
        return [(name.encode(), value.encode("latin-1")) for name, value in found.items()]

    def share(self, message: Message, origin: str | None) -> None:
        """Let a page of an allowed origin read an answer; that to a preflight says so already."""
        headers = MutableHeaders(scope=message)
        if origin is None or "access-control-allow-origin" in headers:
            return
        headers["access-control-allow-origin"] = origin
        headers["access-control-expose-headers"] = _EXPOSED
        headers["cross-origin-resource-policy"] = "cross-origin"
        headers.add_vary_header("Origin")


def _is_same(origin: str, headers: Headers) -> bool:
    """Whether an origin is the server itself, by the name that the request gives it. A proxy may have taken off TLS,
    hence its scheme is not compared."""
    scheme, _, place = origin.lower().partition("://")
    port = _DEFAULT_PORTS.get(scheme)
    host = headers.get("host", "").lower()
    return port is not None and bool(place) and _with_port(place, port) == _with_port(host, port)


def _with_port(place: str, port: str) -> str:
    name = place.rpartition("]")[2]
    return place if ":" in name else f"{place}:{port}"

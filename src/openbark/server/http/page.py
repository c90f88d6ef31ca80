"""The web page: static files of the package, served as they are."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import FileResponse, Response

from openbark.server.errors import not_found

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}


def page_router() -> APIRouter:
    """`/`, `/docs` and `/static/NAME`, for the files that the package has."""
    folder = Path(str(resources.files("openbark.server.http"))) / "static"
    files = {path.name: path for path in sorted(folder.glob("*")) if path.suffix in _TYPES}
    router = APIRouter()

    def answer(name: str) -> Response:
        path = files.get(name)
        if path is None:
            raise not_found("unknown_url", f"there is no file {name!r}")
        return FileResponse(
            path, media_type=_TYPES[path.suffix], headers={"Cache-Control": "no-cache"}
        )

    @router.get("/")
    async def page() -> Response:
        """The page."""
        return answer("index.html")

    @router.get("/docs")
    async def docs() -> Response:
        """The API, legible; made of /openapi.json in the browser, without anything from elsewhere."""
        return answer("docs.html")

    @router.get("/static/{name}")
    async def static(name: str) -> Response:
        """A file of the page."""
        return answer(name)

    return router

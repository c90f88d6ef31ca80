"""Debian's Chromium on the server's page: what it asks for and complains of is watched in every test."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from waiting import DEADLINE_SECONDS, wait_until

_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-quic",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
)
# Runs before the page's own scripts: notes every block that goes to the loudspeaker.
_LISTEN = """
window.heard = [];
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (...when) {
  window.heard.push(this.buffer.duration);
  return start.apply(this, when);
};
"""
_PAGES = ("/", "/docs", "/openapi.json")
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One for a module: Playwright's loop must not outlive it, since other tests run loops of their own."""
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("needs Debian's chromium")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=list(_FLAGS))
        yield started
        started.close()


class Visit:
    """A person's tab on the page of one server."""

    def __init__(self, browser: Any, url: str, **context: Any) -> None:
        self.url = url
        self.complaints: list[str] = []
        self.asked: list[tuple[str, str]] = []
        self.expected: tuple[str, ...] = ()
        self._context = browser.new_context(**{"viewport": DESKTOP, **context})
        self._context.add_init_script(_LISTEN)
        self.page = self._context.new_page()
        self.page.set_default_timeout(1000 * DEADLINE_SECONDS)
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.asked.append((request.method, request.url)))
        self.page.goto(url)

    def _console(self, message: Any) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def wait_for(self, condition: Callable[[], object]) -> None:
        """Wait until it holds; the page goes on meanwhile."""
        wait_until(condition, between=lambda: self.page.wait_for_timeout(20))

    def heard(self) -> float:
        """Seconds that went to the loudspeaker live."""
        return float(self.page.evaluate("window.heard.reduce((sum, each) => sum + each, 0)"))

    def duration(self) -> float:
        """Seconds of the clip in the audio element, once it has read it."""
        self.wait_for(lambda: self.page.evaluate("document.querySelector('audio').readyState > 0"))
        return float(self.page.evaluate("document.querySelector('audio').duration"))

    def speak(self, text: str, seed: int | None = None) -> None:
        """Have it spoken to the end."""
        if seed is not None:
            self.settings({"seed": str(seed)})
        self.page.get_by_role("textbox", name="Text", exact=True).fill(text)
        self.page.get_by_role("button", name="Speak").click()
        self.done()

    def done(self) -> None:
        """Wait until everything is made."""
        self.page.locator("#status", has_text="Done.").wait_for()

    def settings(self, values: dict[str, str]) -> None:
        """Fill fields of the settings by id."""
        if self.page.locator("#settings").get_attribute("open") is None:
            self.page.locator("#settings > summary").click()
        for name, value in values.items():
            found = self.page.locator(f"#{name}")
            if found.evaluate("each => each.tagName") == "SELECT":
                found.select_option(value)
            else:
                found.fill(value)

    def saved(self, label: str) -> Path:
        """The file behind a download button."""
        with self.page.expect_download() as download:
            self.page.get_by_role("group", name="Download").get_by_role(
                "button", name=label, exact=True
            ).click()
        return Path(download.value.path())

    def check_manners(self) -> None:
        """Nothing was asked that is not public API of this server or its static files; nothing complained."""
        base = urlsplit(self.url).netloc
        for method, url in self.asked:
            parts = urlsplit(url)
            if parts.scheme in ("blob", "data"):
                continue
            assert parts.netloc == base, f"{url} is another host"
            assert _is_public(self.url, method, parts.path), (
                f"{method} {url} is not in /openapi.json"
            )
        unexpected = [
            text for text in self.complaints if not any(part in text for part in self.expected)
        ]
        assert not unexpected

    def close(self) -> None:
        self._context.close()


def _is_public(url: str, method: str, path: str) -> bool:
    if path in _PAGES or path.startswith("/static/"):
        return method == "GET"
    paths = httpx.get(f"{url}/openapi.json", timeout=DEADLINE_SECONDS).json()["paths"]
    return any(
        method.lower() in operations and re.fullmatch(_pattern(template), path)
        for template, operations in paths.items()
    )


def _pattern(template: str) -> str:
    return re.sub(r"\\\{.*?\\\}", ".+", re.escape(template))


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Visit]]:
    """Opens the page of a server; `expected`: parts of complaints that belong to the test."""
    visits: list[Visit] = []

    def open_page(url: str, expected: tuple[str, ...] = (), **context: Any) -> Visit:
        found = Visit(browser, url, **context)
        found.expected = expected
        visits.append(found)
        return found

    yield open_page
    try:
        for found in visits:
            found.check_manners()
    finally:
        for found in visits:
            found.close()

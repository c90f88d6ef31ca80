"""Pictures of the web page for docs/web-page.md: phone and desktop, light and dark, on the embedded model.

Starts a server of its own; needs Debian's chromium and playwright. The last line is a JSON document of file sizes.
"""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["main"]

_SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
_TEXTS = ("Good morning. The kettle is on.", "Did you hear that? It came from the machine.")
_FLAGS = ("--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required")


@contextmanager
def _server() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-m", "openbark", "serve", "--port", str(port)])
    url = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + 120
        while not _ready(url):
            if process.poll() is not None or time.monotonic() > end:
                raise TimeoutError("the server did not become ready")
            time.sleep(0.2)
        yield url
    finally:
        process.kill()
        process.wait(10)


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health/ready") as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False


def _take(browser: Any, url: str, size: str, theme: str, folder: Path) -> None:
    width, height = _SIZES[size]
    viewport = {"width": width, "height": height}
    page = browser.new_page(viewport=viewport, color_scheme=theme)
    page.goto(url)
    page.get_by_role("button", name="Favourite en_3").click()
    page.locator("#settings > summary").click()
    page.locator("#seed").fill("7")
    page.locator("#settings > summary").click()
    for text in _TEXTS:
        page.get_by_role("textbox", name="Text", exact=True).fill(text)
        page.get_by_role("button", name="Speak").click()
        page.locator("#history li", has_text=text).wait_for(timeout=60_000)
        page.locator("#status", has_text="Done.").wait_for()
    play = page.locator("#play")
    if play.inner_text() == "Stop":
        play.click()
    page.get_by_role("slider", name="Position").press("ArrowRight")
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    if (size, theme) == ("phone", "dark"):
        # One of the two phones shows what lies below the fold.
        page.locator("#player").evaluate("each => each.scrollIntoView()")
    page.screenshot(path=folder / f"page-{size}-{theme}.png")
    page.close()


def main() -> None:
    """Write the four pictures."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    folder = parser.parse_args().out
    with _server() as url, sync_playwright() as playwright:
        path = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=path, args=list(_FLAGS))
        for size in _SIZES:
            for theme in ("light", "dark"):
                _take(browser, url, size, theme, folder)
        browser.close()
    sizes = {each.name: each.stat().st_size for each in sorted(folder.glob("page-*.png"))}
    print(json.dumps(sizes))


if __name__ == "__main__":
    main()

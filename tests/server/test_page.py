"""The page in Chromium, on a speaker without a model: what it asks of the server and how it is used."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from browsing import DESKTOP, PHONE, Visit
from running_server import RunningServer

pytestmark = pytest.mark.browser

_STATIC = Path(str(resources.files("openbark.server.http"))) / "static"
Start = Callable[..., RunningServer]
Open = Callable[..., Visit]
LONG = "This line is long enough to be heard while the rest of it is still being made. " * 2


def test_all_files_together_are_small() -> None:
    assert sum(path.stat().st_size for path in _STATIC.iterdir()) < 200_000


@pytest.mark.parametrize("path", sorted(_STATIC.iterdir()), ids=lambda path: path.name)
def test_nothing_comes_from_elsewhere_or_stands_inline(path: Path) -> None:
    text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://|@import|url\(|\beval\(|innerHTML", text)
    if path.suffix == ".html":
        assert not re.search(r"<style|\bstyle=|\son\w+=", text)
        assert all("src=" in script for script in re.findall(r"<script[^>]*>", text))


def test_speech_is_heard_while_the_rest_is_made(start: Start, visit: Open) -> None:
    server = start(hold_after=1)
    tab = visit(server.url)
    tab.page.get_by_role("textbox", name="Text", exact=True).fill(LONG)
    tab.page.get_by_role("button", name="Speak").click()
    tab.wait_for(lambda: tab.heard() > 0)
    assert server.speaker.running == 1
    server.speaker.hold_after = None
    tab.done()
    assert tab.duration() == pytest.approx(len(LONG) / 20, abs=1e-3)
    assert tab.heard() == pytest.approx(len(LONG) / 20, abs=1e-3)


def test_cancel_frees_the_place(start: Start, visit: Open) -> None:
    server = start(hold_after=1)
    tab = visit(server.url)
    tab.page.get_by_role("textbox", name="Text", exact=True).fill(LONG)
    tab.page.get_by_role("button", name="Speak").click()
    tab.page.locator("#status", has_text=" s made").wait_for()
    tab.page.get_by_role("button", name="Cancel").click()
    tab.page.locator("#status", has_text="Cancelled.").wait_for()
    server.wait_for(
        lambda: server.speaker.running == 0 and server.parts.service.admission.in_flight == 0
    )
    assert tab.page.get_by_role("button", name="Speak").is_enabled()
    assert tab.page.locator("#history li").count() == 0


def test_the_queue_and_the_progress_are_shown(start: Start, visit: Open) -> None:
    server = start(max_rows=1, gate="other", allowed=1)
    tab = visit(server.url)
    tab.page.get_by_role("textbox", name="Text", exact=True).fill(LONG)
    other = {"input": "other " * 500, "response_format": "pcm"}
    with server.client.stream("POST", "/v1/audio/speech", json=other):
        # Its first block is here; it has the only place until the gate lets the second one through, which is never.
        server.wait_for(lambda: server.parts.service.limiter.computing == 1)
        server.speaker.hold_after = 1
        tab.page.get_by_role("button", name="Speak").click()
        tab.page.locator("#status", has_text="place 1 of 1, 1 being made").wait_for()
    tab.page.locator("#status", has_text=" s made").wait_for()
    server.speaker.hold_after = None
    tab.wait_for(lambda: float(tab.page.locator("#progress").get_attribute("value") or 0) > 0)
    tab.done()
    assert tab.page.locator("#progress").is_hidden()


def test_settings_reach_the_request_and_are_kept(start: Start, visit: Open) -> None:
    server = start()
    tab = visit(server.url)
    given = {
        "seed": "77", "max_seconds": "4.5", "sentence_pause": "0.2", "paragraph_pause": "0.9",
        "retries": "0", "best_of": "1", "semantic_temperature": "0.6", "coarse_temperature": "0.5",
        "fine_temperature": "0.4", "top_k": "40", "top_p": "0.9", "min_eos_p": "0.3",
        "latency": "low", "split": "packed", "policy": "anchor", "speed": "1.5",
    }  # fmt: skip
    tab.settings(given)
    tab.page.get_by_role("radio", name="en_1").check()
    with tab.page.expect_request("**/v1/audio/speech") as sent:
        tab.speak("Hello there.")
    body = json.loads(sent.value.post_data)
    for name, value in given.items():
        assert str(body[name]) in (value, str(float(value)) if value[0].isdigit() else value)
    assert body["voice"] == "en_1"
    spoken = server.speaker.started[-1].options
    assert (spoken.seed, spoken.long_form.split, spoken.long_form.policy, spoken.latency) == (
        77,
        "packed",
        "anchor",
        "low",
    )
    assert (spoken.params.semantic.temperature, spoken.params.fine.temperature) == (0.6, 0.4)
    tab.page.get_by_role("button", name="Keep these settings").click()
    tab.page.reload()
    assert tab.page.locator("#best_of").input_value() == "1"
    assert tab.page.locator("#policy").input_value() == "anchor"
    tab.settings({})
    tab.page.get_by_role("button", name="Reset").click()
    assert tab.page.locator("#best_of").input_value() == ""


def test_takes_have_seeds_of_their_own_and_lists_clips(start: Start, visit: Open) -> None:
    server = start()
    tab = visit(server.url)
    tab.settings({"takes": "2", "seed": "5"})
    tab.page.get_by_role("tab", name="List").click()
    tab.page.get_by_label("Texts, one a line").fill("One.\n\nTwo.\n")
    tab.page.get_by_role("button", name="Speak").click()
    tab.done()
    said = [(each.text, each.options.seed) for each in server.speaker.started[1:]]
    assert said == [("One.", 5), ("One.", 6), ("Two.", 5), ("Two.", 6)]
    assert tab.page.locator("#history li").count() == 4


def test_pieces_are_shown_before_anything_is_made(start: Start, visit: Open) -> None:
    server = start()
    tab = visit(server.url)
    tab.page.get_by_role("textbox", name="Text", exact=True).fill("One piece. Another\u2605")
    tab.page.get_by_role("button", name="Show the pieces").click()
    pieces = tab.page.get_by_role("list", name="Pieces").get_by_role("listitem")
    pieces.first.wait_for()
    assert pieces.all_inner_texts() == [
        "one piece about 0.5 s, then a pause of 0.3 s",
        "another about 0.4 s",
    ]
    assert tab.page.locator("#plan-notes").inner_text() == (
        'About 1.1 s in all, read as text, language en. Left out: "\u2605" (an ornament).'
    )
    assert len(server.speaker.started) == 1, "the warm-up alone"


def test_errors_are_shown_and_named(start: Start, visit: Open) -> None:
    tab = visit(start().url, expected=("400",))
    tab.page.get_by_role("textbox", name="Text", exact=True).fill("unspeakable")
    tab.page.get_by_role("button", name="Speak").click()
    tab.page.get_by_role("alert").get_by_text("the fake cannot say that").wait_for()
    tab.page.get_by_role("textbox", name="Text", exact=True).fill(" ")
    tab.page.get_by_role("button", name="Speak").click()
    tab.page.get_by_role("alert").get_by_text("There is nothing to say yet.").wait_for()


def test_a_server_that_is_gone_is_said_to_be(start: Start, visit: Open) -> None:
    server = start()
    tab = visit(server.url, expected=("ERR_CONNECTION_REFUSED", "ERR_FAILED"))
    tab.page.locator("#server", has_text="ready").wait_for()
    tab.page.route("**/v1/**", lambda route: route.abort())
    tab.page.get_by_role("button", name="Speak").click()
    tab.page.get_by_role("alert").get_by_text("The server cannot be reached.").wait_for()


def test_a_key_is_asked_for_and_used(start: Start, visit: Open) -> None:
    tab = visit(start(api_key="ob-secret").url, expected=("401",))
    tab.page.get_by_role("button", name="Speak").click()
    dialog = tab.page.get_by_role("dialog", name="API key")
    dialog.get_by_label("Key").fill("ob-secret")
    dialog.get_by_role("button", name="Use").click()
    tab.speak("Hello there.")
    assert tab.page.locator("#history li").count() == 1


def test_favourites_come_first_and_stay(start: Start, visit: Open) -> None:
    tab = visit(start().url)
    star = tab.page.get_by_role("button", name="Favourite en_1")
    star.click()
    assert star.get_attribute("aria-pressed") == "true"
    assert star.evaluate("each => each === document.activeElement")
    tab.page.reload()
    tab.page.get_by_role("radio", name="en_1").wait_for()
    assert tab.page.get_by_role("radio").first.get_attribute("value") == "en_1"


def test_previews_are_heard_and_leave_no_history(start: Start, visit: Open) -> None:
    server = start()
    tab = visit(server.url)
    tab.page.get_by_role("button", name="Hear en_1").click()
    tab.done()
    assert server.speaker.started[-1].options.voice is not None
    assert tab.heard() > 0
    assert tab.page.locator("#history li").count() == 0


def test_names_of_other_services_are_found_by_looking(start: Start, visit: Open) -> None:
    tab = visit(start().url)
    tab.page.get_by_role("radio", name="en_0").wait_for()
    assert tab.page.get_by_role("radio", name="alloy").count() == 0
    tab.page.get_by_label("Find a voice").fill("allo")
    tab.page.get_by_role("radio", name="alloy").check()
    assert "speaks as en_0" in tab.page.locator("#voice-list").inner_text()


def test_the_keyboard_is_enough(start: Start, visit: Open) -> None:
    tab = visit(start().url)
    page = tab.page
    page.get_by_role("radio", name="en_0").wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.get_by_role("tab", name="Text").focus()
    for key, name in (("ArrowRight", "dialogue"), ("End", "list"), ("ArrowRight", "text")):
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.id") == f"tab-{name}"
        assert page.locator(f"#panel-{name}").is_visible()
    page.get_by_role("radio", name="en_0").focus()
    page.keyboard.press("ArrowDown")
    assert page.get_by_role("radio", name="en_1").is_checked()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.get_by_role("textbox", name="Text", exact=True).fill(LONG)
    page.keyboard.press("Control+Enter")
    tab.done()
    page.keyboard.press("Escape")
    slider = page.get_by_role("slider", name="Position")
    slider.focus()
    tab.duration()
    page.keyboard.press("End")
    assert float(slider.get_attribute("aria-valuenow") or 0) == pytest.approx(
        len(LONG) / 20, abs=0.1
    )
    page.keyboard.press("Home")
    page.keyboard.press("PageUp")
    assert float(slider.get_attribute("aria-valuenow") or 0) == pytest.approx(5, abs=0.1)


def test_cancelling_from_the_keyboard_keeps_the_focus(start: Start, visit: Open) -> None:
    tab = visit(start(hold_after=1).url)
    tab.page.get_by_role("button", name="Speak").focus()
    tab.page.keyboard.press("Enter")
    tab.page.locator("#status", has_text=" s made").wait_for()
    assert tab.page.evaluate("document.activeElement.id") == "cancel"
    tab.page.keyboard.press("Enter")
    tab.page.locator("#status", has_text="Cancelled.").wait_for()
    assert tab.page.evaluate("document.activeElement.id") == "speak"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(theme: str, start: Start, visit: Open) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    server = start()
    tab = visit(server.url, color_scheme=theme)

    def check(where: str) -> None:
        # axe is put into the page by the debugger, which the content policy does not bind.
        found = axe.run(tab.page).response["violations"]
        serious = [each for each in found if each["impact"] in ("serious", "critical")]
        assert not serious, f"{where}: " + "; ".join(
            f"{each['id']} at {[node['target'] for node in each['nodes']]}" for each in serious
        )

    tab.page.locator("#server", has_text="ready").wait_for()
    check("empty page")
    tab.speak("Hello there.", seed=1)
    tab.page.get_by_role("button", name="Show the pieces").click()
    for name in ("Text", "Dialogue", "List"):
        tab.page.get_by_role("tab", name=name).click()
        check(name)
    tab.page.get_by_role("button", name="API key").click()
    check("key dialog")
    tab.page.goto(f"{server.url}/docs")
    tab.page.locator("article").first.wait_for()
    check("the API")


@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_nothing_is_wider_than_the_screen(
    viewport: dict[str, int], start: Start, visit: Open
) -> None:
    server = start()
    tab = visit(server.url, viewport=viewport)
    tab.speak("A" * 200 + " word", seed=1)
    for name in ("Text", "Dialogue", "List"):
        tab.page.get_by_role("tab", name=name).click()
        width = tab.page.evaluate("document.documentElement.scrollWidth")
        assert width <= viewport["width"], name
    tab.page.goto(f"{server.url}/docs")
    tab.page.locator("article").first.wait_for()
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]


def test_the_theme_is_chosen_once(start: Start, visit: Open) -> None:
    tab = visit(start().url, color_scheme="light")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = tab.page.evaluate(ground)
    tab.page.get_by_role("button", name="Dark").click()
    dark = tab.page.evaluate(ground)
    assert dark != light
    tab.page.reload()
    assert tab.page.evaluate(ground) == dark


@pytest.mark.parametrize(("motion", "name"), [("reduce", "none"), ("no-preference", "wait")])
def test_motion_is_reduced_on_request(motion: str, name: str, start: Start, visit: Open) -> None:
    tab = visit(start(hold_after=0).url, reduced_motion=motion)
    tab.page.get_by_role("button", name="Speak").click()
    tab.page.locator("#progress").wait_for()
    shown: Any = tab.page.evaluate(
        "getComputedStyle(document.getElementById('progress')).animationName"
    )
    assert shown == name
    tab.page.get_by_role("button", name="Cancel").click()

"""The page in Chromium, on a real server process that speaks with the embedded model."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
from browsing import Visit
from waiting import DEADLINE_SECONDS, wait_until

from openbark.voices.voice import Voice

pytestmark = pytest.mark.browser

Open = Callable[..., Visit]
TEXT = "Hello there. This is a small voice."


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, browser: object) -> Iterator[str]:
    """A server process; asks for the browser, so that none is started where there is none."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = tmp_path_factory.mktemp("data")
    command = [sys.executable, "-m", "openbark", "serve", "--port", str(port), "--threads", "1"]
    log = (data / "log").open("wb")
    process = subprocess.Popen([*command, "--data-directory", str(data)], stderr=log, stdout=log)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: process.poll() is not None or _ready(address))
        if process.poll() is not None:
            raise RuntimeError((data / "log").read_text())
        yield address
    finally:
        process.kill()
        process.wait(10)
        log.close()


def _ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health/ready", timeout=DEADLINE_SECONDS).status_code == 200
    except httpx.TransportError:
        return False


def _made(url: str, **body: object) -> bytes:
    answer = httpx.post(f"{url}/v1/audio/speech", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.content


def test_made_heard_kept_and_made_again_to_the_byte(url: str, visit: Open) -> None:
    tab = visit(url)
    tab.speak(TEXT, seed=7)
    wav, rate = soundfile.read(tab.saved("WAV"), dtype="int16")
    assert tab.duration() == pytest.approx(len(wav) / rate, abs=1e-3)
    direct = _made(url, input=TEXT, voice="en_0", seed=7, response_format="pcm")
    assert wav.tobytes() == direct
    assert tab.page.locator("#about").inner_text() == "en_0 · seed 7"
    tab.page.reload()
    row = tab.page.locator("#history li")
    assert TEXT in row.inner_text()
    row.get_by_role("button", name="Make again").click()
    tab.page.locator("#status", has_text="the same to the byte").wait_for(timeout=40_000)
    assert tab.page.locator("#history li").count() == 1
    again, _ = soundfile.read(tab.saved("WAV"), dtype="int16")
    assert np.array_equal(wav, again)
    tab.page.locator("#history li").get_by_role("button", name="Remove").click()
    tab.page.locator("#history li").wait_for(state="detached")


def test_other_formats_are_of_the_same_audio(url: str, visit: Open) -> None:
    tab = visit(url)
    tab.speak(TEXT, seed=8)
    wav, rate = soundfile.read(tab.saved("WAV"), dtype="int16")
    flac, _ = soundfile.read(tab.saved("FLAC"), dtype="int16")
    assert np.array_equal(wav, flac)
    mp3, _ = soundfile.read(tab.saved("MP3"))
    assert len(mp3) / rate == pytest.approx(len(wav) / rate, abs=0.15)
    subtitles = tab.saved("SRT").read_text(encoding="utf-8")
    assert "-->" in subtitles and "Hello there." in subtitles


def test_two_speakers_in_two_voices(url: str, visit: Open) -> None:
    tab = visit(url)
    tab.settings({"seed": "9"})
    tab.page.get_by_role("tab", name="Dialogue").click()
    turns = tab.page.get_by_role("list", name="Turns")
    turns.get_by_label("Voice").nth(1).select_option("en_3")
    tab.page.get_by_role("button", name="Speak").click()
    tab.done()
    wav, _ = soundfile.read(tab.saved("WAV"), dtype="int16")
    script = "Anna: Did you hear that?\nBen: Yes. It came from the machine."
    voices = {"Anna": "en_0", "Ben": "en_3"}
    body = {"script": "text", "seed": 9, "voice": "en_0", "response_format": "pcm"}
    assert wav.tobytes() == _made(url, input=script, speakers=voices, **body)
    assert wav.tobytes() != _made(url, input=script, speakers={**voices, "Ben": "en_1"}, **body)


def test_a_voice_goes_out_comes_back_and_speaks(
    url: str,
    visit: Open,
    tmp_path: Path,
) -> None:
    tab = visit(url)
    tab.speak(TEXT, seed=10)
    path = tmp_path / "mine.npz"
    path.write_bytes(tab.saved("Voice").read_bytes())
    assert Voice.load(path).fine.shape[0] == 8
    tab.page.locator("#voice-file").set_input_files(path)
    tab.page.get_by_text("mine is uploaded and chosen.").wait_for()
    assert tab.page.get_by_role("radio", name="mine").is_checked()
    with tab.page.expect_request("**/v1/audio/speech") as sent:
        tab.speak("And now with the other voice.", seed=11)
    voice = sent.value.post_data_json["voice"]
    assert voice not in ("en_0", "mine", "")
    wav, _ = soundfile.read(tab.saved("WAV"), dtype="int16")
    said = {"input": "And now with the other voice.", "seed": 11, "response_format": "pcm"}
    assert wav.tobytes() == _made(url, voice=voice, **said)
    assert wav.tobytes() != _made(url, voice="en_0", **said)
    tab.page.get_by_role("button", name="Forget mine").click()
    tab.page.get_by_text("mine is forgotten.").wait_for()
    assert tab.page.get_by_role("radio", name="mine").count() == 0

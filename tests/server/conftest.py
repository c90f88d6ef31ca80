"""A real server on a real port, around a speaker without a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from browsing import browser, visit  # noqa: F401 - fixtures
from fake_speaker import FakeSpeaker
from running_server import RunningServer

pytest.importorskip("fastapi", reason="needs the extra [server]")

from openbark.voices.library import VoiceLibrary
from openbark.voices.voice import Voice


@pytest.fixture
def voice_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "library"
    folder.mkdir()
    fine = np.arange(8 * 75).reshape(8, 75) % 1024
    for name in ("en_0", "en_1"):
        Voice(np.arange(50), fine[:2], fine).save(folder / f"{name}.npz")
    return folder


@pytest.fixture
def start(voice_folder: Path) -> Iterator[Callable[..., RunningServer]]:
    """Starts servers; keywords that are the speaker's go to it, the others are settings."""
    running: list[RunningServer] = []

    def start_one(**options: object) -> RunningServer:
        names = ("delay", "first_delay", "failure", "fail_after", "full", "gate", "allowed")
        hold_after = options.pop("hold_after", None)
        of_speaker = {name: options.pop(name) for name in names if name in options}
        speaker = FakeSpeaker(VoiceLibrary([voice_folder]), **of_speaker)  # type: ignore[arg-type]
        server = RunningServer(speaker, **options)
        running.append(server)
        if hold_after is not None:  # after the utterance that the server tries itself with
            server.wait_for(lambda: server.parts.readiness.ready)
            speaker.hold_after = hold_after  # type: ignore[assignment]
        return server

    yield start_one
    for server in running:
        server.close()


@pytest.fixture
def server(start: Callable[..., RunningServer]) -> RunningServer:
    """One with default settings."""
    return start()

"""A model for replicas of Ray that needs no weights: utterances wait at a gate that the test opens, and are counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import ray
from fake_speaker import FakeSpeaker, FakeSpeech

from openbark.errors import CheckpointNotFoundError
from openbark.server.speakers.base import Block, Utterance
from openbark.voices.library import VoiceLibrary
from openbark.voices.voice import Voice

GATE = "openbark-test-gate"
WARM_UP = "Hello."


class Gate:
    """An actor: who is inside, and whether they may go on."""

    def __init__(self) -> None:
        self.inside = 0
        self.is_open = False

    def enter(self) -> None:
        self.inside += 1

    def leave(self) -> None:
        self.inside -= 1

    def opened(self) -> bool:
        return self.is_open

    def set_open(self, is_open: bool) -> None:
        self.is_open = is_open

    def count(self) -> int:
        return self.inside


def gate() -> Any:
    return ray.get_actor(GATE, namespace="openbark-test")


class GatedSpeaker(FakeSpeaker):
    def start(self, utterance: Utterance) -> FakeSpeech:
        self.started.append(utterance)
        self.running += 1
        return GatedSpeech(self, utterance)


class GatedSpeech(FakeSpeech):
    async def __aiter__(self) -> AsyncIterator[Block]:
        blocks = super().__aiter__()
        if self._utterance.text == WARM_UP:
            async for block in blocks:
                yield block
            return
        door = gate()
        await door.enter.remote()
        try:
            while not await door.opened.remote():
                await asyncio.sleep(0.05)
            async for block in blocks:
                yield block
        finally:
            await door.leave.remote()


@dataclass(frozen=True)
class FakeModel:
    threads: int | None = 1
    broken: bool = False

    def with_threads(self, threads: int) -> FakeModel:
        return replace(self, threads=threads)

    def speaker(self, max_rows: int) -> FakeSpeaker:
        if self.broken:
            raise CheckpointNotFoundError("there is no checkpoint at nowhere")
        folder = Path(mkdtemp(prefix="openbark-test-voices-"))
        fine = np.arange(8 * 75).reshape(8, 75) % 1024
        Voice(np.arange(50), fine[:2], fine).save(folder / "en_0.npz")
        return GatedSpeaker(VoiceLibrary([folder]))

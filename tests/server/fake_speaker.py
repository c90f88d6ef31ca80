"""A speaker without a model: sound that depends on text and seed alone, with latency and faults to order."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import numpy as np

from openbark.errors import BusyError, CancelledError, TextError
from openbark.params import GenerationParams
from openbark.server.speakers.base import Block, SpeakerStats, SpeechReport, StageTime, Utterance
from openbark.speech.plan import PieceReport, PlanReport
from openbark.text.left_out import LeftOut
from openbark.voices.library import VoiceLibrary
from openbark.voices.voice import Voice

RATE = 24_000
BLOCK = 2_400


def waveform_of(text: str, seed: int) -> Block:
    """0.05 s of noise a letter, the same for the same text and seed."""
    digest = hashlib.sha256(f"{seed}:{text}".encode()).digest()
    generator = np.random.default_rng(int.from_bytes(digest[:8], "little"))
    n_samples = max(BLOCK, len(text) * RATE // 20)
    return (generator.uniform(-0.5, 0.5, n_samples)).astype(np.float32)


@dataclass
class FakeSpeaker:
    """`hold_after`: after so many blocks of an utterance no more come until it is set to None; `delay`, `first_delay`:
    seconds on the event loop's clock before each block, and before the first; `fail_after`: blocks before `failure` is
    raised, if set. While it is `stuck` no block comes and nothing closes; while it is `mad` its samples are NaN.
    Texts that hold `gate` get a block for each one that was allowed."""

    library: VoiceLibrary
    hold_after: int | None = None
    delay: float = 0.0
    first_delay: float = 0.0
    failure: Exception | None = None
    stuck: bool = False
    mad: bool = False
    progress: int = 0
    stages: tuple[StageTime, ...] = ()
    fail_after: int = 0
    full: bool = False
    gate: str | None = None
    allowed: int = 0
    blocks: Counter[str] = field(default_factory=Counter)
    model: str = "fake"
    sample_rate: int = RATE
    default_params: GenerationParams = field(
        default_factory=lambda: GenerationParams().resolve(GenerationParams())
    )
    running: int = 0
    started: list[Utterance] = field(default_factory=list)
    closed: bool = False

    @property
    def stats(self) -> SpeakerStats:
        return SpeakerStats(self.running, 0, 0.0, progress=self.progress)

    async def move(self) -> None:
        while self.stuck:
            await asyncio.sleep(0.005)
        self.progress += 1

    def allow(self, n_blocks: int) -> None:
        """Let texts that hold the gate's word have more blocks."""
        self.allowed += n_blocks

    async def pass_gate(self, text: str) -> None:
        if self.gate is not None and self.gate in text:
            while self.allowed < 1:
                await asyncio.sleep(0.005)
            self.allowed -= 1
        self.blocks[text] += 1

    def estimate_seconds(self, text: str) -> float:
        return len(text) / 20

    def plan(self, utterance: Utterance) -> PlanReport:
        parts = utterance.text.split(". ")
        pieces = tuple(
            PieceReport(
                part,
                part.lower().rstrip("\u2605"),
                0,
                len(part),
                len(part) / 20,
                pause=0.0 if part is parts[-1] else 0.3,
            )
            for part in parts
        )
        left_out = (LeftOut("\u2605", "an ornament"),) if "\u2605" in utterance.text else ()
        seconds = sum(piece.seconds + piece.pause for piece in pieces)
        return PlanReport("text", "en", seconds, 0.0, pieces, left_out)

    def check_voice(self, voice: Voice) -> None:
        """Every voice will do."""

    def start(self, utterance: Utterance) -> FakeSpeech:
        if self.full:
            raise BusyError("the fake is full")
        if "unspeakable" in utterance.text:
            raise TextError("the fake cannot say that")
        self.started.append(utterance)
        self.running += 1
        return FakeSpeech(self, utterance)

    def close(self) -> None:
        self.closed = True


class FakeSpeech:
    """One utterance of it."""

    def __init__(self, speaker: FakeSpeaker, utterance: Utterance) -> None:
        self._speaker = speaker
        self._utterance = utterance
        self._over = False
        self.failure: Exception | None = None
        self.mad = False
        self.report: SpeechReport | None = None
        self.blocks_made = 0

    async def __aiter__(self) -> AsyncIterator[Block]:
        speaker = self._speaker
        waveform = waveform_of(self._utterance.text, self._utterance.options.seed)
        await asyncio.sleep(speaker.first_delay)
        for start in range(0, len(waveform), BLOCK):
            if speaker.closed:
                raise CancelledError("the speaker is closed")
            if speaker.failure is not None and self.blocks_made >= speaker.fail_after:
                raise speaker.failure
            if self.failure is not None:
                raise self.failure
            await asyncio.sleep(speaker.delay)
            await speaker.pass_gate(self._utterance.text)
            await self._held()
            await speaker.move()
            self.blocks_made += 1
            block = waveform[start : start + BLOCK]
            yield block * np.float32("nan") if speaker.mad or self.mad else block
        n_tokens = len(self._utterance.text)
        self.report = SpeechReport(
            n_tokens, 2 * n_tokens, len(waveform) / RATE, stages=speaker.stages
        )

    async def _held(self) -> None:
        """Wait while no more blocks are wanted; an engine that is busy with others makes steps meanwhile."""
        speaker = self._speaker
        while speaker.hold_after is not None and self.blocks_made >= speaker.hold_after:
            if speaker.closed:
                raise CancelledError("the speaker is closed")
            speaker.progress += not speaker.stuck
            await asyncio.sleep(0.005)

    async def aclose(self) -> None:
        if not self._over:
            self._over = True
            await self._speaker.move()
            self._speaker.running -= 1

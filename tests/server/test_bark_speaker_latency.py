"""The server's `latency`: audio below the sentence from a real Bark, and the report that goes with it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openbark import Bark
from openbark.errors import ParamError
from openbark.longform.options import LongFormOptions
from openbark.params import GenerationParams
from openbark.server.speakers.bark_speaker import BarkSpeaker, BarkSpeech
from openbark.server.speakers.base import Utterance
from openbark.speech.options import SpeechOptions

TEXT = "It was late. Nobody came, and he slept."


async def _hear(speech: BarkSpeech) -> list[np.ndarray]:
    return [block async for block in speech]


def test_low_latency_takes_effect(tiny_checkpoint_dir: Path) -> None:
    bark = Bark.load(tiny_checkpoint_dir, threads=1)
    params = GenerationParams(max_semantic_tokens=24, allow_early_stop=False)
    options = SpeechOptions(
        seed=7,
        params=params.resolve(bark.default_params),
        long_form=LongFormOptions(),
        latency="low",
    )
    asked = Utterance(TEXT, options)
    speaker = BarkSpeaker(bark)
    try:
        low = speaker.start(asked)
        blocks = asyncio.run(_hear(low))
        whole = Utterance(TEXT, replace(options, latency="sentence"))
        assert len(blocks) > len(asyncio.run(_hear(speaker.start(whole))))
        expected = list(bark.stream(TEXT, seed=7, params=params, latency="low"))
        np.testing.assert_array_equal(np.concatenate(blocks), np.concatenate(expected))
        assert low.report is not None
        assert len(low.report.segments) == len(speaker.plan(asked).pieces)
        nothing = replace(options, long_form=LongFormOptions(retries=0, best_of=1))
        again = asyncio.run(_hear(speaker.start(Utterance(TEXT, nothing))))
        np.testing.assert_array_equal(np.concatenate(again), np.concatenate(blocks))
    finally:
        speaker.close()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"best_of": 3}, "best_of is 3 with latency 'low'; allowed: 1"),
        ({"retries": 1}, "retries is 1 with latency 'low'; allowed: 'auto' or 0"),
    ],
)
def test_low_latency_refuses_what_it_cannot_do(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ParamError, match=message):
        SpeechOptions(long_form=LongFormOptions(**given), latency="low")

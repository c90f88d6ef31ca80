"""Lists of texts: every clip is what it is alone, on both backends, with settings of its own."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from openbark.api import Bark
from openbark.backends.native.library import library_path
from openbark.engine.batch import run_batch
from openbark.engine.engine import Engine
from openbark.errors import CancelledError, ParamError, TextError, VoiceError
from openbark.params import GenerationParams, SamplingParams
from openbark.result import Clip
from openbark.voices.voice import Voice

TEXTS = ["Hi.", "One two.", "Hello there.", "A", "No, no no.", "Why?"]
SHORT = GenerationParams(max_semantic_tokens=9)
FULL = GenerationParams(allow_early_stop=False)
WARM = GenerationParams(
    semantic=SamplingParams(1.1, top_k=30), coarse=SamplingParams(0.9), fine=SamplingParams(0.0)
)


def _voice(seed: int) -> Voice:
    generator = np.random.default_rng(seed)
    codes = generator.integers(0, 32, (8, 45))
    return Voice(generator.integers(0, 100, 30), codes[:2], codes, name=f"v{seed}")


@pytest.fixture(scope="module", params=["native", "torch"])
def bark(request: pytest.FixtureRequest, tiny_checkpoint_dir: Path) -> Bark:
    if request.param == "torch":
        pytest.importorskip("torch")
    elif not library_path().exists():
        pytest.skip("the CPU engine was not built: no C++ compiler")
    return Bark.load(tiny_checkpoint_dir, threads=1, backend=request.param)


def _same(made: Clip, alone: Clip) -> bool:
    return (
        np.array_equal(made.tokens.semantic, alone.tokens.semantic)
        and np.array_equal(made.tokens.coarse, alone.tokens.coarse)
        and np.array_equal(made.tokens.fine, alone.tokens.fine)
        and np.array_equal(made.waveform, alone.waveform)
        and (made.text, made.seed, made.voice, made.stop_reason, made.params)
        == (alone.text, alone.seed, alone.voice, alone.stop_reason, alone.params)
    )


def test_each_clip_equals_running_it_alone(bark: Bark) -> None:
    voices = [None, _voice(1), None, _voice(2), _voice(1), None]
    seeds = [3, 2**63, 3, 0, 11, 4]
    short = GenerationParams(max_semantic_tokens=4)
    params = [SHORT, FULL, WARM, FULL, None, short]
    clips = bark.generate(TEXTS, voices, seeds, params)
    alone = [bark.generate(*given) for given in zip(TEXTS, voices, seeds, params, strict=True)]
    assert len({len(clip.waveform) for clip in clips}) >= 3, "lengths are their own"
    for made, single in zip(clips, alone, strict=True):
        assert _same(made, single)


def test_one_value_serves_all_and_no_seed_draws_one_for_each(bark: Bark) -> None:
    clips = bark.generate(("Hi.",) * 3, _voice(1), 5, FULL)
    alone = bark.generate("Hi.", _voice(1), 5, FULL)
    assert all(_same(clip, alone) for clip in clips)
    drawn = bark.generate(["Hi."] * 3, params=FULL)
    assert len({clip.seed for clip in drawn}) == 3
    assert _same(drawn[1], bark.generate("Hi.", seed=drawn[1].seed, params=FULL))


def test_no_texts_are_no_clips(bark: Bark) -> None:
    assert bark.generate([]) == []


@pytest.mark.parametrize(
    "given",
    [{"seed": [1]}, {"voice": [None] * 3}, {"params": (SHORT, FULL, SHORT)}],
    ids=["seed", "voice", "params"],
)
def test_other_lengths_are_refused(bark: Bark, given: dict[str, object]) -> None:
    (name,) = given
    with pytest.raises(ParamError, match=f"{name} has . values for 2 texts"):
        bark.generate(["Hi.", "No."], **given)  # type: ignore[call-overload]


def test_a_list_of_settings_needs_a_list_of_texts(bark: Bark) -> None:
    with pytest.raises(ParamError, match=r"seed is a list .* \[text\] \* 2"):
        bark.generate("Hi.", seed=[1, 2])  # type: ignore[call-overload]


def test_nothing_is_made_when_one_is_at_fault(bark: Bark) -> None:
    for texts, voices, kind in (
        (["Hi.", "  "], None, TextError),
        (["Hi.", 3], None, TextError),
        (["Hi.", "No."], [None, "nobody"], VoiceError),
    ):
        with pytest.raises(kind):
            bark.generate(texts, voices)  # type: ignore[call-overload]


def test_an_error_says_whose_it_is(bark: Bark) -> None:
    requests = [bark.request(text, params=FULL) for text in TEXTS[:3]]
    slots = bark.config.semantic_rules.max_text_tokens
    requests[1] = replace(requests[1], text_tokens=np.ones(slots + 1, dtype=np.int64))
    with pytest.raises(TextError) as caught:
        run_batch(bark.engine, requests)
    assert caught.value.__notes__ == ["this was text number 1 of 3, counted from 0"]


def test_a_batch_reports_finished_audio_and_can_be_cancelled(bark: Bark) -> None:
    told: list[tuple[str, float, float | None]] = []
    clips = bark.generate(TEXTS[:3], seed=1, params=FULL, progress=lambda *call: told.append(call))
    assert [stage for stage, _, _ in told] == ["batch"] * 3
    assert told[-1][1] == pytest.approx(sum(clip.seconds for clip in clips))
    stop = threading.Event()
    stop.set()
    with pytest.raises(CancelledError):
        bark.generate(TEXTS, cancel=stop)


def test_threads_that_generate_share_decode_steps(bark: Bark) -> None:
    """Two threads wait at a barrier, then each speaks; the engine's batches hold sequences of both."""
    texts = ["Share these steps.", "Another text for the same steps."]
    alone = [bark.generate(text, seed=number) for number, text in enumerate(texts)]
    before = bark.engine.stats
    barrier, clips = threading.Barrier(len(texts)), dict[int, Clip]()

    def speak(number: int) -> None:
        barrier.wait()
        clips[number] = bark.generate(texts[number], seed=number)

    threads = [threading.Thread(target=speak, args=(number,)) for number in range(len(texts))]
    # No step runs until both requests are queued: a fast machine would finish the first before the second comes.
    with bark.engine._moving:
        for thread in threads:
            thread.start()
        while bark.engine.stats.queued < len(texts):
            threading.Event().wait(0.001)
    for thread in threads:
        thread.join()
    after = bark.engine.stats
    assert after.drawn_rows - before.drawn_rows > after.turns - before.turns
    for number, clip in enumerate(alone):
        assert np.array_equal(clips[number].tokens.fine, clip.tokens.fine)


def test_a_full_queue_is_waited_for(bark: Bark) -> None:
    engine = Engine(bark.backend, max_batch=1, max_queued=1)
    requests = [bark.request("Hi.", seed=number) for number in range(5)]
    results = run_batch(engine, requests)
    assert [len(result.semantic) > 0 for result in results] == [True] * 5
    assert engine.stats.rejected == 0

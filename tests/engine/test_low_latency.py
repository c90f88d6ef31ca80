"""Audio before the request is done: exact semantic and coarse tokens, blocks that add up, the same in any company."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from fake_backend import FakeBackend
from hypothesis import given, settings
from hypothesis import strategies as st

from openbark.backends.base import Backend, CodecStream
from openbark.backends.codec_stream import BoundedCodecStream, Reach
from openbark.backends.native.library import library_path
from openbark.checkpoints import open_checkpoint
from openbark.config import BarkConfig
from openbark.engine.cascade import run
from openbark.engine.engine import Engine
from openbark.engine.request import CascadeResult, Request
from openbark.engine.stages import BlockSchedule, request_steps
from openbark.engine.work import CodecDecode, Decode, FineStep, Prefill
from openbark.errors import CancelledError, ParamError, TextError
from openbark.params import SUNO_PARAMS, GenerationParams, SamplingParams
from openbark.stages.sampling import Stage
from openbark.voices.voice import Voice

if TYPE_CHECKING:
    from openbark.backends.torch.backend import TorchBackend


class StreamingFake(FakeBackend):
    """Its codec sees two frames to each side, one sample a frame."""

    def codec_stream(self) -> CodecStream:
        return BoundedCodecStream(self.codec_decode, Reach(2, 2), 1)


def _voice(seed: int, n_semantic: int = 30) -> Voice:
    generator = np.random.default_rng(seed)
    codes = generator.integers(0, 32, (8, math.ceil(n_semantic * 1.5)))
    return Voice(generator.integers(0, 100, n_semantic), codes[:2], codes)


def _request(
    seed: int,
    limit: int | None = None,
    n_voice: int = 0,
    temperature: float = 0.7,
    early: bool = False,
    latency: str = "low",
) -> Request:
    params = GenerationParams(
        SamplingParams(temperature),
        SamplingParams(temperature),
        SamplingParams(temperature),
        max_semantic_tokens=limit,
        allow_early_stop=early,
    ).resolve(SUNO_PARAMS)
    voice = _voice(seed, n_voice) if n_voice else None
    return Request(np.arange(1, 9), params, seed, voice, latency=latency)


def _stock(request: Request) -> Request:
    return replace(request, latency="sentence")


def _plain(result: CascadeResult) -> tuple[object, ...]:
    return (
        result.semantic.tolist(),
        result.coarse.tolist(),
        result.fine.tolist(),
        result.waveform.tolist(),
        result.stop_reason,
        result.n_text_tokens,
    )


def _check_exact(backend: Backend, request: Request) -> CascadeResult:
    """The result of a request, whose first two stages are those of the plain run."""
    stock, live = run(backend, _stock(request)), run(backend, request)
    assert live.semantic.tolist() == stock.semantic.tolist()
    assert live.coarse.tolist() == stock.coarse.tolist()
    assert live.stop_reason is stock.stop_reason
    assert live.fine.shape == stock.fine.shape
    np.testing.assert_array_equal(live.fine[:2], stock.fine[:2])
    assert live.waveform.shape == stock.waveform.shape
    return live


@settings(max_examples=150)
@given(
    seed=st.integers(0, 700),
    limit=st.integers(1, 40),
    n_voice=st.sampled_from([0, 2, 7, 12, 30]),
    early=st.booleans(),
    sight=st.sampled_from([(16, 36, 12), (14, 36, 12), (13, 30, 18), (16, 12, 36), (16, 4, 2)]),
)
def test_semantic_and_coarse_tokens_are_exact_in_every_window(
    seed: int, limit: int, n_voice: int, early: bool, sight: tuple[int, int, int]
) -> None:
    """(what a window sees, its history, its hop): the fake's tokens follow from every token of a prompt."""
    config = BarkConfig.tiny()
    n_input, history, hop = sight
    rules = replace(
        config.coarse_rules, max_semantic_input=n_input, max_history=history, sliding_window=hop
    )
    backend = StreamingFake(replace(config, coarse_rules=rules))
    request = _request(seed, limit, n_voice, early=early)
    try:
        run(backend, _stock(request))
    except TextError:
        with pytest.raises(TextError, match="before it said anything"):
            run(backend, request)
        return
    _check_exact(backend, request)


@pytest.fixture(scope="module", params=["torch", "native"])
def tiny(request: pytest.FixtureRequest, tiny_checkpoint_dir: Path) -> Backend:
    if request.param == "torch":
        backend: TorchBackend = request.getfixturevalue("tiny_backend")
        return backend
    if not library_path().exists():
        pytest.skip("the CPU engine was not built: no C++ compiler")
    from openbark.backends.native.backend import NativeBackend

    return NativeBackend.load(open_checkpoint(tiny_checkpoint_dir), threads=1)


@pytest.mark.parametrize("temperature", [0.0, 0.7])
@pytest.mark.parametrize("n_voice", [0, 9, 30])
@pytest.mark.parametrize("limit", [1, 8, 25, 40])
def test_real_backends_draw_the_same_and_decode_what_they_filled(
    tiny: Backend, limit: int, n_voice: int, temperature: float
) -> None:
    live = _check_exact(tiny, _request(3, limit, n_voice, temperature))
    np.testing.assert_allclose(live.waveform, tiny.codec_decode(live.fine), atol=1e-5)


def test_a_clip_of_one_block_is_the_plain_one(tiny: Backend) -> None:
    request = _request(5, 4)
    live, stock = run(tiny, request), run(tiny, _stock(request))
    assert live.fine.tolist() == stock.fine.tolist()


def test_work_comes_in_an_order_of_token_counts_alone() -> None:
    """The first block is decoded before the semantic stage has ended, and draws stop at the schedule."""
    config = BarkConfig.tiny()
    schedule = BlockSchedule.of(config)
    row = request_steps(_request(1, 40, 30), config)
    work, seen = next(row), []
    filled: list[int] = []
    while True:
        seen.append(work)
        try:
            match work:
                case Prefill():
                    work = row.send(None)
                case Decode(stage=stage, first_step=first, n_steps=n):
                    ids = config.coarse_offset + 32 * (np.arange(first, first + n) % 2)
                    tokens = np.zeros(n, dtype=np.int64) if stage is Stage.SEMANTIC else ids
                    work = row.send((tokens, None))
                case FineStep(codes=codes, first=first):
                    work = row.send(np.zeros(codes.shape[1] - first, dtype=np.int64))
                case CodecDecode(codes=codes):
                    filled.append(codes.shape[1])
                    work = row.send(np.zeros(codes.shape[1], dtype=np.float32))
        except StopIteration as end:
            result = end.value
            break
    first_block = next(i for i, each in enumerate(seen) if isinstance(each, CodecDecode))
    after = [each for each in seen[first_block:] if isinstance(each, Decode)]
    assert any(each.stage is Stage.SEMANTIC for each in after)
    ends = schedule.ends()
    assert np.cumsum(filled)[:-1].tolist() == [next(ends) for _ in filled[:-1]]
    assert sum(filled) == result.fine.shape[1] == 60
    assert isinstance(seen[-1], CodecDecode) and seen[-1].last
    assert set(result.timings) == {"semantic", "coarse", "fine", "codec"}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (BarkConfig(), BlockSchedule(first=12, step=12, most=256, lookahead=6)),
        (BarkConfig.tiny(), BlockSchedule(first=10, step=12, most=8, lookahead=6)),
    ],
)
def test_blocks_fit_the_windows_of_a_model(config: BarkConfig, expected: BlockSchedule) -> None:
    assert BlockSchedule.of(config) == expected
    rules = config.fine_rules
    ends = [0, *(end for end, _ in zip(expected.ends(), range(20), strict=False))]
    widest = int(np.diff(ends).max()) + expected.lookahead
    assert widest <= rules.max_input - rules.max_history


def test_frames_that_were_handed_out_never_change() -> None:
    """A fine model that tells of all it sees: what came out of a block is what the result holds."""

    parts: list[np.ndarray] = []

    class Watching(StreamingFake):
        def codec_stream(self) -> CodecStream:
            class Stream(BoundedCodecStream):
                def push(self, codes: np.ndarray) -> np.ndarray:
                    parts.append(codes.copy())
                    return super().push(codes)

            return Stream(self.codec_decode, Reach(2, 2), 1)

    result = run(Watching(), _request(2, 40, 12))
    assert len(parts) > 3
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), result.fine)


MIX = [
    (_request(1, 40, 30), _request(1, 40, 30, latency="sentence")),
    (_request(2, 25), _request(2, 33, 9, latency="sentence")),
    (_request(3, 40, 12, 0.0), _request(4, 6, latency="sentence")),
]


@pytest.mark.parametrize("threaded", [False, True])
def test_a_request_is_the_same_alone_and_beside_others(tiny: Backend, threaded: bool) -> None:
    requests = [each for pair in MIX for each in pair]
    alone = [_plain(run(tiny, each)) for each in requests]
    with Engine(tiny, max_batch=4) as engine:
        if threaded:
            engine.start()
        handles = [engine.submit(each) for each in requests]
        streams = [np.concatenate(list(each.stream())) for each in handles]
        found = [_plain(each.result()) for each in handles]
    assert found == alone
    for samples, result in zip(streams, alone, strict=True):
        assert samples.tolist() == result[3]
    assert engine.stats.running == 0


def test_blocks_come_before_the_result_and_add_up_to_it() -> None:
    engine = Engine(StreamingFake())
    handle = engine.submit(_request(1, 40, 12))
    stream = handle.stream()
    first = next(stream)
    assert not handle.done
    blocks = [first, *stream]
    assert len(blocks) > 3 and all(len(block) for block in blocks)
    assert np.concatenate(blocks).tolist() == handle.result().waveform.tolist()
    assert handle.take_audio() == []


def test_blocks_come_to_async_code() -> None:
    async def listen(engine: Engine) -> list[np.ndarray]:
        return [block async for block in engine.astream(_request(1, 40, 12))]

    with Engine(StreamingFake()) as engine:
        blocks = asyncio.run(listen(engine))
    expected = run(StreamingFake(), _request(1, 40, 12)).waveform
    assert len(blocks) > 3
    assert np.concatenate(blocks).tolist() == expected.tolist()


def test_who_takes_no_audio_keeps_nobody_waiting() -> None:
    with Engine(StreamingFake()) as engine:
        engine.start()
        slow, quick = engine.submit(_request(1, 40, 12)), engine.submit(_request(2, 40, 12))
        assert len(quick.result(30).waveform) == 60
        assert len(slow.result(30).waveform) == 60
        assert sum(len(block) for block in slow.take_audio()) == 60


class Counting(StreamingFake):
    """Counts the work that it is given."""

    n_fine = 0

    def draw_fine(self, *arguments: object) -> np.ndarray:
        self.n_fine += 1
        return super().draw_fine(*arguments)  # type: ignore[arg-type]


def test_leaving_a_stream_ends_its_work() -> None:
    whole, backend = Counting(), Counting()
    run(whole, _request(1, 40, 12))
    engine = Engine(backend)
    handle = engine.submit(_request(1, 40, 12))
    stream = handle.stream()
    next(stream)
    stream.close()
    before = backend.n_fine
    while engine.step():
        pass
    assert backend.n_fine == before < whole.n_fine
    assert isinstance(handle.exception(), CancelledError)
    assert engine.stats.running == 0 and engine.stats.cancelled == 1


def test_an_error_comes_after_the_blocks_before_it() -> None:
    class Failing(StreamingFake):
        n_fine = 0

        def draw_fine(self, *arguments: object) -> np.ndarray:
            self.n_fine += 1
            if self.n_fine > 20:
                raise MemoryError("no more")
            return super().draw_fine(*arguments)  # type: ignore[arg-type]

    stream = Engine(Failing()).stream(_request(1, 40, 12))
    blocks: list[np.ndarray] = []
    with pytest.raises(MemoryError, match="no more"):
        for block in stream:
            blocks.append(block)
    assert blocks


def test_waiting_for_audio_can_time_out() -> None:
    engine = Engine(StreamingFake())
    handle = engine.submit(_request(1, 40, 12))
    assert not handle.wait_audio(timeout=0)
    assert handle.wait_audio()
    assert len(handle.take_audio()) == 1


def test_a_backend_that_fails_in_batches_draws_again_where_it_was() -> None:
    """Both stages have a cache then, and only the one that drew is spoiled."""
    engine = Engine(StreamingFake())
    handles = [engine.submit(_request(seed, 40, 12)) for seed in (1, 801, 2)]
    engine.close()
    for handle in handles:
        assert _plain(handle.result()) == _plain(run(StreamingFake(), handle.request))


def test_another_latency_is_refused() -> None:
    with pytest.raises(ParamError, match="latency is 'none'; allowed: sentence, low"):
        _request(1, latency="none")

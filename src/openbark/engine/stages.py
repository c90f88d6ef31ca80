"""The cascade as coroutines: each stage yields the work it needs next and receives the result.

A stage object runs "until n" tokens or frames exist. A whole clip runs every stage to its end; a low-latency clip runs
all stages a block at a time. Both use the same objects, so semantic and coarse tokens are equal, token for token, and
equal to `openbark.stages.reference`. Prompts, windows and stop rules are in `openbark.stages`; who executes the work,
when, and in which batch is not known here.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from openbark.backends.codec_stream import codec_lookahead
from openbark.config import BarkConfig
from openbark.engine.request import STAGES, CascadeResult, Request
from openbark.engine.work import CodecDecode, Decode, FineStep, Prefill, Work
from openbark.errors import ParamError, TextError
from openbark.params import SamplingParams
from openbark.stages.coarse import (
    CoarseContext,
    coarse_codes,
    coarse_context,
    coarse_sight,
    coarse_window_prompt,
    n_coarse_steps,
)
from openbark.stages.fine import fine_canvas, fine_windows
from openbark.stages.sampling import Stage
from openbark.stages.semantic import StopReason, semantic_prompt, token_limit
from openbark.types import Tokens, Waveform

_Result = TypeVar("_Result")

Steps = Generator[Work, Any, _Result]
"""Yields work, receives the result of each item, and returns its own result."""

_FIRST_SECONDS = 0.16
"""Audio of the first low-latency block; each later block is twice as long."""

_FINE_LOOKAHEAD_SECONDS = 0.08
"""Coarse frames behind a block that the fine stage sees when it fills the block."""


class SemanticStage:
    """Text tokens and voice to semantic tokens, as far as they are needed (docs/parity.md S30-S35)."""

    def __init__(self, request: Request, config: BarkConfig, history: Tokens | None = None) -> None:
        """history: semantic tokens to continue, for a request without a voice."""
        self._request = request
        self._rules = config.semantic_rules
        self._history = request.voice.semantic if request.voice else history
        self.tokens: Tokens = np.zeros(0, dtype=np.int64)
        self.reason: StopReason | None = None

    @classmethod
    def finished(cls, request: Request, config: BarkConfig, tokens: Tokens) -> SemanticStage:
        """A stage that already holds all of its tokens [T]."""
        stage = cls(request, config)
        stage.tokens, stage.reason = np.asarray(tokens, dtype=np.int64), StopReason.EOS
        return stage

    def begin(self) -> Steps[None]:
        """Prefill the prompt. Raises TextError for a text that does not fit."""
        prompt = semantic_prompt(self._request.text_tokens, self._history, self._rules)
        yield Prefill(Stage.SEMANTIC, prompt)

    def until(self, n_tokens: int | None = None) -> Steps[None]:
        """Sample until there are `n_tokens` (None: all), or the stage has ended."""
        params = self._request.params
        sampling, limit = resolved_sampling(params.semantic), token_limit(params, self._rules)
        wanted = limit.n_tokens if n_tokens is None else min(n_tokens, limit.n_tokens)
        while self.reason is None and len(self.tokens) < wanted:
            n_drawn = len(self.tokens)
            tokens, self.reason = yield Decode(
                Stage.SEMANTIC, sampling, n_drawn, wanted - n_drawn, params.allow_early_stop
            )
            self.tokens = np.concatenate([self.tokens, tokens])
            if self.reason is None:
                _report(self._request, "semantic", len(self.tokens) / self._rules.rate_hz, None)
        if self.reason is None and len(self.tokens) == limit.n_tokens:
            self.reason = limit.reason


class CoarseStage:
    """Semantic tokens and voice to the first codebooks (docs/parity.md S36-S37); each window starts a new cache.

    A window sees a bounded number of semantic tokens, so it starts as soon as those exist.
    """

    def __init__(self, request: Request, config: BarkConfig, semantic: SemanticStage) -> None:
        self._request = request
        self._config = config
        self._semantic = semantic
        self._sampling = resolved_sampling(request.params.coarse)
        self._window_end = 0
        self.ids: Tokens = np.zeros(0, dtype=np.int64)

    @property
    def codes(self) -> Tokens:
        """Codes [k, F] of complete frames."""
        n_codebooks = self._config.coarse_rules.n_codebooks
        n_frames = len(self.ids) // n_codebooks
        return coarse_codes(self.ids[: n_frames * n_codebooks], self._config)

    @property
    def n_steps(self) -> int | None:
        """Tokens of the whole clip; None while the semantic stage has not ended."""
        if self._semantic.reason is None:
            return None
        return n_coarse_steps(len(self._semantic.tokens), self._config)

    @property
    def is_done(self) -> bool:
        """Whether every token of the clip is there."""
        return self.n_steps is not None and len(self.ids) >= self.n_steps

    def until(self, n_frames: int | None = None) -> Steps[None]:
        """Sample until there are `n_frames` (None: all), or the stage has ended."""
        n_codebooks = self._config.coarse_rules.n_codebooks
        while not self.is_done and (n_frames is None or len(self.ids) < n_frames * n_codebooks):
            n_drawn = len(self.ids)
            if n_drawn == self._window_end:
                yield from self._open_window()
                if self._window_end == n_drawn:
                    return
            stop = self._window_end
            if n_frames is not None:
                stop = min(stop, n_frames * n_codebooks)
            tokens, _ = yield Decode(Stage.COARSE, self._sampling, n_drawn, stop - n_drawn)
            self.ids = np.concatenate([self.ids, tokens])
            total = None if self.n_steps is None else self._seconds(self.n_steps)
            _report(self._request, "coarse", self._seconds(len(self.ids)), total)

    def _seconds(self, n_tokens: int) -> float:
        return seconds_of(n_tokens // self._config.coarse_rules.n_codebooks, self._config)

    def _open_window(self) -> Steps[None]:
        """Prefill the next window, once every semantic token it sees exists, and enough for all it samples."""
        n_drawn = len(self.ids)
        end = n_drawn + self._config.coarse_rules.sliding_window
        if self._semantic.reason is None:
            wanted = coarse_sight(self._context(), n_drawn, self._config)
            while n_coarse_steps(wanted, self._config) < end:
                wanted += 1
            yield from self._semantic.until(wanted)
        self._window_end = end if self.n_steps is None else min(end, self.n_steps)
        if self._window_end > n_drawn:
            prompt = coarse_window_prompt(self._context(), self.ids, self._config)
            yield Prefill(Stage.COARSE, prompt)

    def _context(self) -> CoarseContext:
        voice = self._request.voice
        return coarse_context(
            self._semantic.tokens,
            voice.semantic if voice else None,
            voice.coarse if voice else None,
            self._config,
        )


class FineStage:
    """Coarse codes [k, F] and voice to fine codes [K, F] (docs/parity.md S38); k may be 1 to K - 1."""

    def __init__(self, request: Request, config: BarkConfig) -> None:
        self._request = request
        self._config = config
        self._sampling = resolved_sampling(request.params.fine)
        self._history = request.voice.fine if request.voice else None
        self.codes: Tokens = np.zeros((config.fine_rules.n_codebooks, 0), dtype=np.int64)

    def whole(self, coarse: Tokens) -> Steps[None]:
        """Fill a whole clip, in the windows of the original."""
        canvas = fine_canvas(coarse, self._history, self._config)
        seconds = seconds_of(canvas.n_frames, self._config)
        for window in fine_windows(canvas, self._config):
            for k in self._missing(coarse):
                canvas.codes[k, window.fill : window.stop] = yield FineStep(
                    canvas.codes[:, window.start : window.stop],
                    k,
                    window.fill - window.start,
                    window.fill,
                    self._sampling,
                )
            filled = min(window.stop - canvas.n_history, canvas.n_frames)
            _report(self._request, "fine", seconds_of(filled, self._config), seconds)
        self.codes = canvas.result()

    def until(self, n_frames: int, coarse: Tokens) -> Steps[Tokens]:
        """Fill frames up to `n_frames` of those with known coarse codes [k, F]; returns the new ones [K, n].

        The window is the last one of a clip of F frames, with the noise of the same frames of the canvas. Frames
        that do not exist yet are padding, as at the end of a clip. Frames already filled stay as they are.
        """
        n_before = self.codes.shape[1]
        if n_frames == n_before:
            return self.codes[:, n_before:]
        canvas = fine_canvas(coarse, self._history, self._config)
        start = canvas.codes.shape[1] - self._config.fine_rules.max_input
        fill = canvas.n_history + n_before
        canvas.codes[:, canvas.n_history : fill] = self.codes
        for k in self._missing(coarse):
            canvas.codes[k, fill:] = yield FineStep(
                canvas.codes[:, start:], k, fill - start, fill, self._sampling
            )
        new = canvas.result()[:, n_before:n_frames]
        self.codes = np.concatenate([self.codes, new], axis=1)
        _report(self._request, "fine", seconds_of(self.codes.shape[1], self._config), None)
        return new

    def _missing(self, coarse: Tokens) -> range:
        return range(len(coarse), self._config.fine_rules.n_codebooks)


def codec_steps(request: Request, config: BarkConfig, fine: Tokens) -> Steps[Waveform]:
    """Fine codes [K, F] to a waveform [L]."""
    waveform: Waveform = yield CodecDecode(fine)
    seconds = seconds_of(fine.shape[1], config)
    _report(request, "codec", seconds, seconds)
    return waveform


def request_steps(request: Request, config: BarkConfig) -> Steps[CascadeResult]:
    """A request from text to waveform.

    Raises TextError when the text does not fit or the model ends before it makes a sound, ParamError for params that
    leave a stage open.
    """
    run = _Cascade(request, config)
    if request.latency == "low":
        return run.in_blocks()
    return run.whole()


class _Cascade:
    """The stages of one request, and the wall seconds spent in each."""

    def __init__(self, request: Request, config: BarkConfig) -> None:
        self._request = request
        self._config = config
        self._spent = dict.fromkeys(STAGES, 0.0)

    def whole(self) -> Steps[CascadeResult]:
        """One stage after the other."""
        semantic, coarse, fine = self._stages()
        yield from self._timed("semantic", semantic.begin())
        yield from self._timed("semantic", semantic.until())
        if coarse.n_steps == 0:
            raise self._nothing_said()
        yield from self._timed("coarse", coarse.until())
        yield from self._timed("fine", fine.whole(coarse.codes))
        decoded = codec_steps(self._request, self._config, fine.codes)
        waveform = yield from self._timed("codec", decoded)
        return self._result(semantic, coarse, fine, waveform)

    def in_blocks(self) -> Steps[CascadeResult]:
        """A block of every stage at a time; the waveform is the blocks that `CodecDecode` gave.

        Blocks end at counts of frames, never at a time, so a seed gives the same audio in any batch.
        """
        schedule = BlockSchedule.of(self._config)
        semantic, coarse, fine = self._stages()
        blocks: list[Waveform] = []
        yield from self._timed("semantic", semantic.begin())
        for end in schedule.ends():
            yield from self._timed("coarse", coarse.until(end + schedule.lookahead))
            codes = coarse.codes
            if codes.shape[1] == 0:
                raise self._nothing_said()
            last = coarse.is_done
            filled = fine.until(codes.shape[1] if last else end, codes)
            new = yield from self._timed("fine", filled)
            blocks.append((yield from self._timed("codec", _streamed(new, last))))
            seconds = seconds_of(fine.codes.shape[1], self._config)
            _report(self._request, "codec", seconds, seconds if last else None)
            if last:
                break
        return self._result(semantic, coarse, fine, np.concatenate(blocks))

    def _stages(self) -> tuple[SemanticStage, CoarseStage, FineStage]:
        request, config = self._request, self._config
        semantic = SemanticStage(request, config)
        return semantic, CoarseStage(request, config, semantic), FineStage(request, config)

    def _timed(self, stage: str, steps: Steps[_Result]) -> Steps[_Result]:
        """The same steps; the seconds of a stage inside another count for the inner one."""
        started, before = time.perf_counter(), sum(self._spent.values())
        result = yield from steps
        inner = sum(self._spent.values()) - before
        self._spent[stage] += time.perf_counter() - started - inner
        return result

    def _nothing_said(self) -> TextError:
        return TextError(
            f"the model ended before it said anything (seed {self._request.seed}); try another seed, "
            "or a longer text"
        )

    def _result(
        self, semantic: SemanticStage, coarse: CoarseStage, fine: FineStage, waveform: Waveform
    ) -> CascadeResult:
        return CascadeResult(
            semantic=semantic.tokens,
            coarse=coarse.codes,
            fine=fine.codes,
            waveform=waveform,
            stop_reason=semantic.reason or StopReason.MAX_TOKENS,
            timings=dict(self._spent),
            n_text_tokens=len(self._request.text_tokens),
        )


@dataclass(frozen=True, slots=True)
class BlockSchedule:
    """Frames at which low-latency blocks end, from the sizes of a model alone.

    first: frames of the first fine block, which covers what the codec holds back; step, most: frames of the second,
    and of any; lookahead: coarse frames beyond a block that must exist before it is filled.
    """

    first: int
    step: int
    most: int
    lookahead: int

    @classmethod
    def of(cls, config: BarkConfig) -> BlockSchedule:
        """The schedule of a model: no block is wider than what a fine window has beyond its history."""
        rate, rules = config.coarse_rules.rate_hz, config.fine_rules
        room = rules.max_input - rules.max_history
        lookahead = min(round(_FINE_LOOKAHEAD_SECONDS * rate), room // 2)
        step = max(1, round(_FIRST_SECONDS * rate))
        return cls(
            first=min(step + codec_lookahead(config.codec), room - lookahead),
            step=step,
            most=max(1, min(rules.max_history // 2, room - lookahead)),
            lookahead=lookahead,
        )

    def ends(self) -> Iterator[int]:
        """Number of frames after each block, without end."""
        end, step = self.first, self.step
        while True:
            yield end
            step = min(2 * step, self.most)
            end += step


def seconds_of(n_frames: int, config: BarkConfig) -> float:
    """Audio seconds of codec frames."""
    return n_frames / config.coarse_rules.rate_hz


def resolved_sampling(sampling: SamplingParams | None) -> SamplingParams:
    """The sampling of a stage. Raises ParamError where it is not set."""
    if sampling is None:
        raise ParamError(
            "params leave a stage open; fill them with params.resolve(checkpoint.defaults) first"
        )
    return sampling


def _streamed(codes: Tokens, last: bool) -> Steps[Waveform]:
    samples: Waveform = yield CodecDecode(codes, streamed=True, last=last)
    return samples


def _report(request: Request, stage: str, done: float, total: float | None) -> None:
    """Call the request's progress with the seconds done in a stage, and in all where that is known."""
    if request.progress is not None:
        request.progress(stage, done, total)

"""A request whose audio comes out while it is still being drawn: the coroutine of `latency="low"`.

The semantic and the coarse stage take turns in one row. A coarse window sees a bounded stretch of semantic tokens, so
it starts as soon as those exist; its tokens are those of the plain row (`engine.rows`), one by one (speed.md 0.6). The
fine stage sees frames that are not there yet as padding, as its own rule does at the end of a clip (S38): that alone
makes the sound differ. What was handed out never changes. Blocks end where counts of tokens say, never the clock, and
noise is keyed by place, so a seed gives the same audio alone and in company.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from openbark.backends.codec_stream import codec_lookahead
from openbark.config import BarkConfig
from openbark.engine.request import STAGES, CascadeResult, Request, Tokens, Waveform
from openbark.engine.rows import Steps, cascade_steps, report, seconds_of, set_sampling
from openbark.engine.work import DecodePart, Draw, FinePass, Read
from openbark.errors import TextError
from openbark.stages.coarse import (
    CoarseContext,
    coarse_codes,
    coarse_context,
    coarse_sight,
    coarse_window_prompt,
    n_coarse_steps,
)
from openbark.stages.fine import fine_canvas
from openbark.stages.sampling import Stage
from openbark.stages.semantic import StopReason, semantic_prompt, token_limit

__all__ = ["BlockSchedule", "live_steps", "request_steps"]

_FIRST_SECONDS = 0.16
"""Audio of the first block; each block after it is twice as long as the one before."""

_FINE_LOOKAHEAD_SECONDS = 0.08
"""What the fine stage sees behind the frames that it hands out."""

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class BlockSchedule:
    """Frames at which blocks end, from the sizes of a model alone.

    first: frames of the first fine block, which covers what the codec holds back; step, most: frames of the second,
    and of any; lookahead: frames beyond a block that must be drawn before it is filled.
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


class _Semantic:
    """The semantic stage of a row, as far as somebody needs it."""

    def __init__(self, request: Request, config: BarkConfig) -> None:
        self._request = request
        self._rules = config.semantic_rules
        self._limit = token_limit(request.params, config.semantic_rules)
        self._sampling = set_sampling(request.params.semantic)
        self.tokens: Tokens = np.zeros(0, dtype=np.int64)
        self.reason: StopReason | None = None

    def begin(self) -> Steps[None]:
        """Read the prompt. Raises TextError."""
        voice = self._request.voice
        history = voice.semantic if voice else None
        prompt = semantic_prompt(self._request.text_tokens, history, self._rules)
        yield Read(Stage.SEMANTIC, prompt)

    def until(self, n_tokens: int) -> Steps[None]:
        """Draw until there are `n_tokens`, or the stage has ended (S30-S35)."""
        while self.reason is None and len(self.tokens) < n_tokens:
            n_drawn = len(self.tokens)
            tokens, self.reason = yield Draw(
                Stage.SEMANTIC,
                self._sampling,
                n_drawn,
                min(n_tokens, self._limit.n_tokens) - n_drawn,
                self._request.params.allow_early_stop,
            )
            self.tokens = np.concatenate([self.tokens, tokens])
            if self.reason is None and len(self.tokens) == self._limit.n_tokens:
                self.reason = self._limit.reason
            if self.reason is None:
                report(self._request, "semantic", len(self.tokens) / self._rules.rate_hz, None)


class _Coarse:
    """The coarse stage of a row, fed by its semantic stage (S36-S37)."""

    def __init__(self, request: Request, config: BarkConfig, semantic: _Semantic) -> None:
        self._request = request
        self._config = config
        self._semantic = semantic
        self._sampling = set_sampling(request.params.coarse)
        self._stop = 0
        self.ids: Tokens = np.zeros(0, dtype=np.int64)

    @property
    def codes(self) -> Tokens:
        """Codes [k, F] of the frames that are whole."""
        n_codebooks = self._config.coarse_rules.n_codebooks
        n_frames = len(self.ids) // n_codebooks
        return coarse_codes(self.ids[: n_frames * n_codebooks], self._config)

    @property
    def is_done(self) -> bool:
        """Whether everything that was said is drawn."""
        semantic = self._semantic
        n_steps = n_coarse_steps(len(semantic.tokens), self._config)
        return semantic.reason is not None and len(self.ids) >= n_steps

    def until(self, n_frames: int) -> Steps[None]:
        """Draw until there are `n_frames`, or the stage has ended."""
        rules = self._config.coarse_rules
        n_tokens = n_frames * rules.n_codebooks
        while len(self.ids) < n_tokens and not self.is_done:
            n_drawn = len(self.ids)
            if n_drawn == self._stop:
                yield from self._window()
                if self._stop == n_drawn:
                    return
            stop = min(self._stop, n_tokens)
            tokens, _ = yield Draw(Stage.COARSE, self._sampling, n_drawn, stop - n_drawn)
            self.ids = np.concatenate([self.ids, tokens])
            done = seconds_of(len(self.ids) // rules.n_codebooks, self._config)
            report(self._request, "coarse", done, None)

    def _window(self) -> Steps[None]:
        """Begin a window, once every semantic token that it sees exists, and enough for all that it draws."""
        n_drawn = len(self.ids)
        n_full = n_drawn + self._config.coarse_rules.sliding_window
        n_wanted = coarse_sight(self._context(), n_drawn, self._config)
        while n_coarse_steps(n_wanted, self._config) < n_full:
            n_wanted += 1
        yield from self._semantic.until(n_wanted)
        context = self._context()
        self._stop = n_full
        if self._semantic.reason is not None:
            self._stop = min(n_full, n_coarse_steps(context.n_semantic, self._config))
        if self._stop > n_drawn:
            yield Read(Stage.COARSE, coarse_window_prompt(context, self.ids, self._config))

    def _context(self) -> CoarseContext:
        voice = self._request.voice
        return coarse_context(
            self._semantic.tokens,
            voice.semantic if voice else None,
            voice.coarse if voice else None,
            self._config,
        )


class _Fine:
    """The fine stage of a row, filled from left to right in windows that end where frames do."""

    def __init__(self, request: Request, config: BarkConfig) -> None:
        self._request = request
        self._config = config
        self._sampling = set_sampling(request.params.fine)
        self.codes: Tokens = np.zeros((config.fine_rules.n_codebooks, 0), dtype=np.int64)

    def until(self, n_frames: int, coarse: Tokens) -> Steps[Tokens]:
        """Fill frames up to `n_frames` of those whose coarse codes [k, F] are known; the new ones [K, n].

        The window is the last one of a clip of F frames, its noise that of the same frames of the canvas (S38);
        frames that were filled before stay as they are.
        """
        voice, n_before = self._request.voice, self.codes.shape[1]
        if n_frames == n_before:
            return self.codes[:, n_before:]
        canvas = fine_canvas(coarse, voice.fine if voice else None, self._config)
        start = canvas.codes.shape[1] - self._config.fine_rules.max_input
        fill = canvas.n_history + n_before
        canvas.codes[:, canvas.n_history : fill] = self.codes
        for k in range(len(coarse), self._config.fine_rules.n_codebooks):
            canvas.codes[k, fill:] = yield FinePass(
                canvas.codes[:, start:], k, fill - start, fill, self._sampling
            )
        new = canvas.result()[:, n_before:n_frames]
        self.codes = np.concatenate([self.codes, new], axis=1)
        report(self._request, "fine", seconds_of(self.codes.shape[1], self._config), None)
        return new


class _Stopwatch:
    """Wall seconds of stages that take turns."""

    def __init__(self) -> None:
        self.spent = dict.fromkeys(STAGES, 0.0)

    def timed(self, stage: str, steps: Steps[_Result]) -> Steps[_Result]:
        """The same steps; a stage inside another counts for itself, not for the other."""
        started, others = time.perf_counter(), sum(self.spent.values())
        result = yield from steps
        inner = sum(self.spent.values()) - others
        self.spent[stage] += time.perf_counter() - started - inner
        return result


def live_steps(request: Request, config: BarkConfig) -> Steps[CascadeResult]:
    """A request to its end, whose audio comes out of `DecodePart` blocks on the way; the waveform is these blocks.

    Semantic and coarse tokens are those of `cascade_steps`. Raises as that does.
    """
    watch, schedule = _Stopwatch(), BlockSchedule.of(config)
    semantic = _Semantic(request, config)
    coarse, fine = _Coarse(request, config, semantic), _Fine(request, config)
    blocks: list[Waveform] = []
    yield from watch.timed("semantic", semantic.begin())
    for end in schedule.ends():
        yield from watch.timed("coarse", coarse.until(end + schedule.lookahead))
        codes = coarse.codes
        if codes.shape[1] == 0:
            raise TextError(
                f"the model ended before it said anything (seed {request.seed}); try another seed, "
                "or a longer text"
            )
        last = coarse.is_done
        new = yield from watch.timed("fine", fine.until(codes.shape[1] if last else end, codes))
        blocks.append((yield from watch.timed("codec", _decoded(new, last))))
        seconds = seconds_of(fine.codes.shape[1], config)
        report(request, "codec", seconds, seconds if last else None)
        if last:
            break
    return CascadeResult(
        semantic=semantic.tokens,
        coarse=coarse.codes,
        fine=fine.codes,
        waveform=np.concatenate(blocks),
        stop_reason=semantic.reason or StopReason.MAX_TOKENS,
        timings=dict(watch.spent),
        n_text_tokens=len(request.text_tokens),
    )


def request_steps(request: Request, config: BarkConfig) -> Steps[CascadeResult]:
    """The coroutine of a request, by its `latency`."""
    if request.latency == "low":
        return live_steps(request, config)
    return cascade_steps(request, config)


def _decoded(codes: Tokens, last: bool) -> Steps[Waveform]:
    samples: Waveform = yield DecodePart(codes, last)
    return samples

"""A text or a script as the pieces that requests are made of. Knows no engine and no audio."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from openbark.config import BarkConfig
from openbark.engine.longform_options import WHOLE, LongFormOptions
from openbark.errors import TextError
from openbark.text.script_items import Pause, ScriptItem, Speech
from openbark.text.speech_length import expected_seconds
from openbark.text.split import Boundary, Budget, Piece, split_text
from openbark.voices.voice import Tokens, Voice

__all__ = [
    "Encode",
    "Plan",
    "PlannedPiece",
    "VoiceOf",
    "fits",
    "piece_budget",
    "plan_script",
    "plan_text",
]

Encode = Callable[[str], tuple[str, Tokens]]
"""A text as the model reads it, and its tokenizer ids [N]."""

VoiceOf = Callable[[Speech], tuple[str | None, Voice | None]]
"""Who says it: a name that pieces in the same voice share, and the voice."""

_SHARE_OF_LIMIT = 0.85
# Estimates of shorter texts are too rough to cut by.
_LEAST_SECONDS = 4.0


@dataclass(frozen=True, eq=False)
class PlannedPiece:
    """One piece: what is said, how, and what follows it.

    text: [start, stop) of the source; normalized, text_tokens: as the model reads it. seconds: expected.
    pause: seconds of silence after it. role: who says it; pieces of one role continue each other.
    rate: speed. starts_at: seconds from the beginning, of a timed cue; stops_at: when it should be over.
    """

    index: int
    text: str
    start: int
    stop: int
    normalized: str
    text_tokens: Tokens
    seconds: float
    pause: float
    role: str | None = None
    voice: Voice | None = None
    rate: float = 1.0
    starts_at: float | None = None
    stops_at: float | None = None


@dataclass(frozen=True, eq=False)
class Plan:
    """Pieces in the order in which they are heard, after `lead` seconds of silence."""

    pieces: tuple[PlannedPiece, ...]
    lead: float = 0.0

    @property
    def seconds(self) -> float:
        """Expected length of all."""
        return self.lead + sum(piece.seconds / piece.rate + piece.pause for piece in self.pieces)


def piece_budget(config: BarkConfig, options: LongFormOptions) -> Budget:
    """What one request of this model can hold: fewer tokens than its slots, and well below its longest audio."""
    longest = max(_SHARE_OF_LIMIT * config.max_seconds, _LEAST_SECONDS)
    max_seconds = min(options.max_seconds, longest)
    return Budget(
        max_tokens=max(1, config.semantic_rules.max_text_tokens - 1),
        max_seconds=max_seconds,
        min_seconds=min(options.min_seconds, max_seconds),
        pace=options.pace,
    )


def fits(text: str, encode: Encode, config: BarkConfig, options: LongFormOptions) -> bool:
    """Whether a text is one request: its speech has time, and its tokens have slots."""
    budget = piece_budget(config, options)
    # A book need not be tokenized to see that it is long.
    if expected_seconds(text) * budget.pace > budget.max_seconds:
        return False
    return len(encode(text)[1]) <= config.semantic_rules.max_text_tokens


def plan_text(
    text: str, encode: Encode, voice: Voice | None, config: BarkConfig, options: LongFormOptions
) -> Plan:
    """Pieces of a plain text in one voice. Raises TextError for text that is empty or cannot be read."""
    speech = Speech(text, language=options.language, boundary=Boundary.END)
    return plan_script([speech], encode, lambda _: (None, voice), config, options)


def plan_script(
    items: Sequence[ScriptItem],
    encode: Encode,
    voice_of: VoiceOf,
    config: BarkConfig,
    options: LongFormOptions,
) -> Plan:
    """Pieces of a script; what `encode` and `voice_of` raise comes through."""
    budget = piece_budget(config, options)
    planned: list[PlannedPiece] = []
    lead = 0.0
    paused = False
    for item in items:
        if isinstance(item, Pause):
            if not planned:
                lead += item.seconds
            else:
                before = planned[-1].pause if paused else 0.0
                planned[-1] = replace(planned[-1], pause=before + item.seconds)
                paused = True
            continue
        paused = False
        role, voice = voice_of(item)
        for piece in _pieces(item, encode, budget, options):
            normalized, text_tokens = encode(piece.text)
            _check_slots(text_tokens, config)
            start, stop = item.source_span(piece.start, piece.stop)
            boundary = item.boundary if piece.boundary is Boundary.END else piece.boundary
            planned.append(
                PlannedPiece(
                    index=len(planned),
                    text=piece.text,
                    start=start,
                    stop=stop,
                    normalized=normalized,
                    text_tokens=text_tokens,
                    seconds=piece.seconds,
                    pause=options.pauses.after(boundary),
                    role=role,
                    voice=voice,
                    rate=item.rate,
                    starts_at=item.starts_at if piece.start == _first_letter(item.text) else None,
                    stops_at=item.stops_at,
                )
            )
    if planned and not paused:
        planned[-1] = replace(planned[-1], pause=0.0)
    return Plan(tuple(planned), lead)


def _check_slots(text_tokens: Tokens, config: BarkConfig) -> None:
    slots = config.semantic_rules.max_text_tokens
    if len(text_tokens) > slots:
        raise TextError(
            f"the text is {len(text_tokens)} tokens long, this model takes at most {slots}; split it into "
            "sentences: split='sentence' does"
        )


def _first_letter(text: str) -> int:
    return len(text) - len(text.lstrip())


def _pieces(
    speech: Speech, encode: Encode, budget: Budget, options: LongFormOptions
) -> Sequence[Piece]:
    text = speech.text
    if options.split == WHOLE:
        start = _first_letter(text)
        whole = text.strip()
        seconds = expected_seconds(whole) * options.pace
        return [Piece(whole, start, start + len(whole), Boundary.END, seconds, 0)]

    def count(said: str) -> int:
        try:
            return len(encode(said)[1])
        except TextError:
            # Signs without a sound count as nothing, until they turn out to be all there is.
            if any(letter.isalnum() for letter in said):
                raise
            return 0

    return split_text(text, count, budget, speech.language or options.language, options.split)

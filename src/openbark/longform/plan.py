"""A text or a script as the pieces that requests are made of. Knows no engine and no audio."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import overload

from openbark.config import BarkConfig
from openbark.errors import TextError
from openbark.longform.options import WHOLE, LongFormOptions
from openbark.text.language import check_language
from openbark.text.left_out import LeftOut
from openbark.text.scripts.items import Pause, ScriptItem, Speech
from openbark.text.speech_length import expected_seconds
from openbark.text.split.pieces import Boundary, Budget, Piece, iter_pieces
from openbark.types import Tokens
from openbark.voices.voice import Voice

Encode = Callable[[str], tuple[str, Tokens]]
"""A text as the model reads it, and its tokenizer ids [N]."""

LeftOutOf = Callable[[str], tuple[LeftOut, ...]]
"""What the model leaves out of a text."""

VoiceOf = Callable[[Speech], tuple[str | None, Voice | None]]
"""Who says it: a name that pieces in the same voice share, and the voice."""

_Turn = tuple[Speech, str | None, Voice | None] | Pause
"""Speech with its role and voice, or silence."""

_SHARE_OF_LIMIT = 0.85
# Estimates of shorter texts are too rough to cut by.
_LEAST_SECONDS = 4.0
# One piece is tokenized to see whether it fits, to count it, and to be said.
_ENCODED_AT_ONCE = 16
MAX_TOTAL_SECONDS = 12 * 3600.0
"""Most audio of one request, silences included: twelve hours are 4 GB of samples."""

# Any text of this length is longer than a request.
_LOOKED_AT = 4000


@dataclass(frozen=True, eq=False)
class PlannedPiece:
    """One piece: what is said, how, and what follows it.

    text: [start, stop) of the source; normalized, text_tokens: as the model reads it. seconds: expected.
    pause: seconds of silence after it. role: who says it; pieces of one role continue each other.
    rate: speed. starts_at: seconds from the beginning, of a timed cue; stops_at: when it should be over.
    left_out: what in it has no sound.
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
    left_out: tuple[LeftOut, ...] = ()


class LazyPieces(Sequence[PlannedPiece]):
    """Pieces that are planned as they are read; their number plans all of them."""

    def __init__(self, pieces: Iterator[PlannedPiece]) -> None:
        self._coming = pieces
        self._known: list[PlannedPiece] = []

    @property
    def known(self) -> Sequence[PlannedPiece]:
        """The pieces that were worked out so far."""
        return tuple(self._known)

    def __len__(self) -> int:
        self._known += self._coming
        return len(self._known)

    @overload
    def __getitem__(self, index: int) -> PlannedPiece: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[PlannedPiece]: ...

    def __getitem__(self, index: int | slice) -> PlannedPiece | Sequence[PlannedPiece]:
        end = index.stop if isinstance(index, slice) else index + 1
        if end is None or end <= 0:
            end = len(self)
        while len(self._known) < end and (piece := next(self._coming, None)) is not None:
            self._known.append(piece)
        return self._known[index]


@dataclass(frozen=True, eq=False)
class Plan:
    """Pieces in the order in which they are heard, after `lead` seconds of silence."""

    pieces: Sequence[PlannedPiece]
    lead: float = 0.0

    @property
    def seconds(self) -> float:
        """Expected length of all, silences and the times of subtitles included; all pieces must be known."""
        end = self.lead
        for piece in self.pieces:
            end = _end_of(piece, end)
        return end

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """What the pieces that are known leave out."""
        pieces = self.pieces.known if isinstance(self.pieces, LazyPieces) else self.pieces
        return tuple(each for piece in pieces for each in piece.left_out)


def _end_of(piece: PlannedPiece, position: float) -> float:
    """When a piece and the pause after it are over, if it can begin at `position`."""
    begins = position if piece.starts_at is None else max(position, piece.starts_at)
    return begins + piece.seconds / piece.rate + piece.pause


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
    # A book need not be tokenized to see that it is long, nor read to its end.
    if any(
        expected_seconds(part) * budget.pace > budget.max_seconds
        for part in (text[:_LOOKED_AT], text)
    ):
        return False
    return len(encode(text)[1]) <= config.semantic_rules.max_text_tokens


def plan_text(
    text: str,
    encode: Encode,
    voice: Voice | None,
    config: BarkConfig,
    options: LongFormOptions,
    lazily: bool = False,
) -> Plan:
    """Pieces of a plain text in one voice. Raises TextError for text that is empty or cannot be read."""
    speech = Speech(text, language=options.language, boundary=Boundary.END)
    return plan_script([speech], encode, lambda _: (None, voice), config, options, lazily)


def plan_script(
    items: Sequence[ScriptItem],
    encode: Encode,
    voice_of: VoiceOf,
    config: BarkConfig,
    options: LongFormOptions,
    lazily: bool = False,
    left_out_of: LeftOutOf | None = None,
) -> Plan:
    """Pieces of a script; what `encode` and `voice_of` raise comes through.

    lazily: work out each piece when it is wanted, so that a book is heard as soon as a sentence. Letters that cannot
    be read are found at once all the same, as far as each of them tells. left_out_of: fills `PlannedPiece.left_out`.
    Raises TextError where nothing has a sound, and for more than MAX_TOTAL_SECONDS in all.
    """
    cast: list[_Turn] = []
    lead = 0.0
    for item in items:
        if isinstance(item, Speech):
            check_language(item.language or options.language, item.text)
            cast.append((item, *voice_of(item)))
        elif cast:
            cast.append(item)
        else:
            lead += item.seconds
    planned = _planned(cast, lru_cache(_ENCODED_AT_ONCE)(encode), config, options)
    if left_out_of is not None:
        planned = _with_left_out(planned, left_out_of)
    planned = _limited(planned, lead)
    if lazily and _looks_readable(cast, encode):
        return Plan(LazyPieces(planned), lead)
    return Plan(tuple(planned), lead)


def _with_left_out(
    pieces: Iterator[PlannedPiece], left_out_of: LeftOutOf
) -> Iterator[PlannedPiece]:
    for piece in pieces:
        left_out = left_out_of(piece.text)
        yield replace(piece, left_out=left_out) if left_out else piece


def _limited(pieces: Iterator[PlannedPiece], lead: float) -> Iterator[PlannedPiece]:
    """`pieces` while they end within MAX_TOTAL_SECONDS. Raises TextError beyond, and where there is none."""
    end = lead
    is_empty = True
    for piece in pieces:
        end = _end_of(piece, end)
        if end > MAX_TOTAL_SECONDS:
            raise TextError(
                f"the speech and its pauses would last more than {MAX_TOTAL_SECONDS / 3600:g} hours; allowed: up to "
                f"{MAX_TOTAL_SECONDS / 3600:g} hours at once; make several texts of it"
            )
        is_empty = False
        yield piece
    if is_empty:
        raise TextError("the text holds nothing that has a sound; write at least one word")


def _looks_readable(cast: Sequence[_Turn], encode: Encode) -> bool:
    """Whether every letter can be read by itself, which takes no longer for a book than for a page."""
    letters = sorted(
        {letter for turn in cast if isinstance(turn, tuple) for letter in set(turn[0].text)}
    )
    try:
        encode(" ".join(letters))
    except TextError:
        return False
    return True


def _planned(
    cast: Sequence[_Turn], encode: Encode, config: BarkConfig, options: LongFormOptions
) -> Iterator[PlannedPiece]:
    """The pieces of a script. Each waits for what follows it, as that decides its pause."""
    budget = piece_budget(config, options)
    last: PlannedPiece | None = None
    pause: float | None = None
    index = 0
    for turn in cast:
        if isinstance(turn, Pause):
            pause = (pause or 0.0) + turn.seconds
            continue
        item, role, voice = turn
        for piece in _pieces(item, encode, budget, options):
            normalized, text_tokens = encode(piece.text)
            if not normalized:
                continue  # Only signs without a sound.
            _check_slots(text_tokens, config)
            if last is not None:
                yield last if pause is None else replace(last, pause=pause)
            pause = None
            start, stop = item.source_span(piece.start, piece.stop)
            boundary = item.boundary if piece.boundary is Boundary.END else piece.boundary
            last = PlannedPiece(
                index=index,
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
            index += 1
    if last is not None:
        yield replace(last, pause=pause or 0.0)


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
) -> Iterator[Piece]:
    text = speech.text
    if options.split == WHOLE:
        start = _first_letter(text)
        whole = text.strip()
        seconds = expected_seconds(whole) * options.pace
        return iter([Piece(whole, start, start + len(whole), Boundary.END, seconds, 0)])

    def count(said: str) -> int:
        try:
            return len(encode(said)[1])
        except TextError:
            # Signs without a sound count as nothing, until they turn out to be all there is.
            if any(letter.isalnum() for letter in said):
                raise
            return 0

    return iter_pieces(text, count, budget, speech.language or options.language, options.split)

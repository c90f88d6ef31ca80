"""Which sequences run next: a pure policy over the work they need, without a backend and without a clock.

Sequences that decode in one stage run in one batch step, which costs little more than a step of one. Prompts are
prefilled before anything is decoded, and the semantic stage gets more steps than the coarse stage, so that many
sequences meet in one batch; a sequence that was prefilled decodes next, so every prompt is reached.

Fine steps and codec work alternate with decoding: a fine step delays decoding by one step at most, and a large batch
never holds back a finished clip. Where the backend can overlap two items, two fine steps or prefills run in parallel,
and a fine step runs beside decoding, which waits for memory while the fine step computes. Then fine steps get no step
of their own while most sequences decode; when few decode, clips are finished first, and sequences gather for larger
batches. Of fine steps, those closest to their end come first, then the earliest request.

While a sequence begins, which a listener waits for, only the earliest of the others run beside it, where each further
sequence makes a step slower; its prefills and fine steps come first, and most decode batches are of its stage. The
others keep their caches and resume after it. The earliest of them never stops, so none starves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Generic, Protocol, TypeVar

from openbark.engine.work import CodecDecode, Decode, FineStep, Prefill, Work
from openbark.stages.sampling import Stage


class Overlap(Enum):
    """Whether a second item may run in parallel."""

    UNSUPPORTED = 0
    """The backend runs one item at a time."""
    BUSY = 1
    """A second item is running."""
    AVAILABLE = 2


class Schedulable(Protocol):
    """What the policy knows of a sequence."""

    @property
    def work(self) -> Work | None:
        """The work it needs next; None when it is done."""
        ...

    @property
    def checks_every_step(self) -> bool:
        """Whether cancellation has to be checked before every token."""
        ...

    @property
    def begins(self) -> bool:
        """Whether a listener waits for its first audio."""
        ...


_Item = TypeVar("_Item", bound=Schedulable)

_MIN_DECODERS_PER_FINISHER = 2
"""Decoding sequences, for each that finishes its clip, from which on neither delays the other."""


@dataclass(frozen=True, slots=True)
class Batch(Generic[_Item]):
    """What runs next: several sequences that decode in one stage, or one sequence with another kind of work.

    n_steps: the most tokens that each sequence decodes. overlapped: a sequence whose work runs in parallel.
    """

    sequences: Sequence[_Item]
    n_steps: int
    overlapped: _Item | None = None


class Scheduler:
    """Picks one batch after the other."""

    def __init__(
        self, n_steps: int = 8, semantic_batches: int = 3, n_beside: int | None = None
    ) -> None:
        """n_steps: tokens between two moments at which sequences can join and leave; semantic_batches: batches of the
        preferred stage, the semantic one, for one of the other, while sequences decode in both; n_beside: sequences
        that run beside those that begin, None for all."""
        self._n_steps = n_steps
        self._preferred_batches = semantic_batches
        self._n_beside = n_beside
        self._decoded_last = False
        self._n_preferred = 0

    def next(
        self,
        sequences: Iterable[_Item],
        overlap: Overlap = Overlap.UNSUPPORTED,
        n_steps: int | None = None,
    ) -> Batch[_Item] | None:
        """The next batch of `sequences`, given in order of arrival; None when none of them has work.

        n_steps: a larger number of tokens than the scheduler's own, for a sequence that has no company.
        """
        decoding: dict[Stage, list[_Item]] = {}
        prefilling: list[_Item] = []
        finishing: list[_Item] = []
        for sequence in self._allowed(sequences):
            match sequence.work:
                case Prefill():
                    prefilling.append(sequence)
                case Decode(stage=stage):
                    decoding.setdefault(stage, []).append(sequence)
                case FineStep() | CodecDecode():
                    finishing.append(sequence)
        prefilling.sort(key=lambda each: not each.begins)
        finishing.sort(key=lambda each: (not each.begins, _passes_left(each)))
        if prefilling:
            return Batch(prefilling[:1], 1, _overlapped((*prefilling[1:], *finishing), overlap))
        if finishing and (
            not decoding or (self._decoded_last and _finish_alone(decoding, finishing, overlap))
        ):
            self._decoded_last = False
            return Batch(finishing[:1], 1, _overlapped(finishing[1:], overlap))
        if not decoding:
            return None
        self._decoded_last = True
        together = decoding[self._stage(decoding)]
        checked = any(sequence.checks_every_step for sequence in together)
        most = 1 if checked else max(self._n_steps, n_steps or 0)
        return Batch(together, most, _overlapped(finishing, overlap))

    def _allowed(self, sequences: Iterable[_Item]) -> list[_Item]:
        """Those that may run now: all, or those that begin and the earliest others."""
        every = [sequence for sequence in sequences if sequence.work is not None]
        if self._n_beside is None or not any(sequence.begins for sequence in every):
            return every
        beside = [sequence for sequence in every if not sequence.begins][: self._n_beside]
        return [sequence for sequence in every if sequence.begins or sequence in beside]

    def _stage(self, decoding: Mapping[Stage, Sequence[_Item]]) -> Stage:
        """The stage that decodes next: the preferred one, except for one batch in so many."""
        if len(decoding) == 1:
            self._n_preferred = 0
            return max(decoding)
        begun = {stage for stage, each in decoding.items() if any(one.begins for one in each)}
        preferred = begun.pop() if len(begun) == 1 else Stage.SEMANTIC
        if self._n_preferred == self._preferred_batches:
            self._n_preferred = 0
            return next(stage for stage in decoding if stage is not preferred)
        self._n_preferred += 1
        return preferred


def _overlapped(sequences: Sequence[_Item], overlap: Overlap) -> _Item | None:
    return sequences[0] if sequences and overlap is Overlap.AVAILABLE else None


def _finish_alone(
    decoding: Mapping[Stage, Sequence[_Item]], finishing: Sequence[_Item], overlap: Overlap
) -> bool:
    """Whether fine and codec work gets a step without decoding."""
    if overlap is not Overlap.AVAILABLE:
        return overlap is Overlap.UNSUPPORTED
    return sum(map(len, decoding.values())) < _MIN_DECODERS_PER_FINISHER * len(finishing)


def _passes_left(sequence: Schedulable) -> int:
    """Fine steps before the window of a sequence is filled, approximately; 0 where only the codec is left."""
    work = sequence.work
    return len(work.codes) - work.k if isinstance(work, FineStep) else 0

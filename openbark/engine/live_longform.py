"""A plan of pieces whose audio comes while each of them is drawn (`engine.low_latency`).

As `engine.longform`, but for what can no longer be changed once it is heard: pieces are not made again, compared or
trimmed. Knows no text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from openbark.engine.longform import LongForm, PieceEngine, Row
from openbark.engine.longform_options import LongFormOptions
from openbark.engine.plan import Plan
from openbark.engine.request import Cancel
from openbark.engine.scoring import Scorer
from openbark.engine.spoken import PiecePart, SpokenPiece
from openbark.errors import ParamError
from openbark.params import GenerationParams

__all__ = ["LiveForm", "check_live_options"]


def check_live_options(options: LongFormOptions) -> None:
    """Raise ParamError for options that compare what was made: here it is heard by then."""
    if options.best_of > 1:
        raise ParamError(
            f"best_of is {options.best_of} with latency 'low'; legal: 1, as a piece is heard while it is "
            "made, or latency 'sentence'"
        )


class LiveForm(LongForm):
    """Speaks a plan on an engine, part by part; one run."""

    def __init__(
        self,
        engine: PieceEngine,
        plan: Plan,
        params: GenerationParams,
        seed: int,
        options: LongFormOptions,
        scorer: Scorer,
        cancel: Cancel | None = None,
    ) -> None:
        """params: resolved. Raises ParamError for `best_of`."""
        check_live_options(options)
        heard = replace(options, retries=0, keep_seconds=None)
        super().__init__(engine, plan, params, seed, heard, scorer, cancel, eager=False)
        self._latency = "low"

    def parts(self) -> Iterator[PiecePart | SpokenPiece]:
        """The audio of each piece in parts, then the piece. Leaving early cancels what is in the works.

        A piece that nothing was said of is tried again; others are not. Raises as `LongForm.pieces`.
        """
        try:
            for index in range(len(self._plan.pieces)):
                self._enter(index)
                row = self._rows[index]
                while not row.is_done:
                    self._advance()
                    yield from self._heard(row)
                yield from self._heard(row)
                spoken = self._spoken(self._rows.pop(index))
                self._window = self._options.ahead
                self._enter(index + 1)
                self._look()
                yield spoken
        finally:
            self._leave()

    @staticmethod
    def _heard(row: Row) -> Iterator[PiecePart]:
        for each in row.tries:
            for block in each.handle.take_audio():
                yield PiecePart(row.piece, block)

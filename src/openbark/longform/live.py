"""A plan of pieces whose audio comes while each of them is drawn (`engine.stages`).

As `longform.run`, but for what can no longer be changed once it is heard: pieces are not made again, compared or
trimmed. Knows no text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from openbark.errors import ParamError
from openbark.longform.join import PiecePart, SpokenPiece
from openbark.longform.options import AUTO, LongFormOptions
from openbark.longform.run import LongForm, Row
from openbark.longform.scoring import Scorer


def check_live_options(options: LongFormOptions, scorer: Scorer | None = None) -> None:
    """Raise ParamError for what judges or cuts a piece that was made: here it is heard by then."""
    for name, value, allowed in (
        ("best_of", options.best_of, (1,)),
        ("retries", options.retries, (AUTO, 0)),
        ("keep_seconds", options.keep_seconds, (AUTO, None)),
        ("scorer", scorer, (None,)),
    ):
        if value not in allowed:
            values = " or ".join(repr(each) for each in allowed)
            raise ParamError(
                f"{name} is {value!r} with latency 'low'; allowed: {values}, as a piece is heard while it is "
                f"made; leave out {name}, or take latency 'sentence'"
            )


def live_options(options: LongFormOptions) -> LongFormOptions:
    """What `options` mean for pieces that are heard as they are made. Raises ParamError as `check_live_options`."""
    check_live_options(options)
    return replace(options, retries=0, keep_seconds=None)


class LiveForm(LongForm):
    """Speaks a plan on an engine, part by part; one run. Its options are those of `live_options`."""

    _latency = "low"

    def parts(self) -> Iterator[PiecePart | SpokenPiece]:
        """The audio of each piece in parts, then the piece. Leaving early cancels what is in the works.

        A piece that nothing was said of is tried again; others are not. Raises as `LongForm.pieces`.
        """
        try:
            for index, _ in enumerate(self._plan.pieces):
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

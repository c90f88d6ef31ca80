"""`openbark serve`, except that a long text stops after its first block until a file exists.

python held_process.py FILE serve ...
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from openbark.cli.main import main
from openbark.server.speakers.bark_speaker import BarkSpeech
from openbark.server.speakers.base import Block


def hold(release: Path) -> None:
    """Let no second block of a long text out before `release` exists."""
    blocks_of = BarkSpeech.__aiter__

    async def held(speech: BarkSpeech) -> AsyncIterator[Block]:
        async for block in blocks_of(speech):
            yield block
            is_long = (
                len(speech._utterance.text) > 100
            )  # not the word that the server tries itself with
            while is_long and not release.exists():
                await asyncio.sleep(0.01)

    BarkSpeech.__aiter__ = held  # type: ignore[method-assign]


if __name__ == "__main__":
    hold(Path(sys.argv.pop(1)))
    main()

"""How soon a long text is heard: seconds to the first block of a stream, by the length of the text.

    python -m benchmarks.first_block                 # the embedded model, 1 kB, 100 kB and 1 MB

What comes before the first sentence must not grow with what follows it. Each length is run several times; the median
counts.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence

from openbark import __version__
from openbark.api import Bark

__all__ = ["first_block", "main", "text_of"]

LENGTHS = (1_000, 100_000, 1_000_000)
_PARAGRAPH = (
    "The old train leaves the town at seven. Nobody is there to see it go, but for Mr. Smith, who paid 3.50 for a "
    "ticket! Was that a lot?\n\n"
)


def text_of(length: int) -> str:
    """Paragraphs of so many characters in all."""
    return (_PARAGRAPH * (length // len(_PARAGRAPH) + 1))[:length]


def first_block(bark: Bark, text: str, voice: str | None) -> float:
    """Seconds from the call to the first samples."""
    started = time.perf_counter()
    blocks = bark.stream(text, voice=voice, seed=1)
    next(blocks)
    seconds = time.perf_counter() - started
    blocks.close()  # type: ignore[attr-defined]
    return seconds


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the last line is one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model")
    parser.add_argument("--voice", default="en_0")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int)
    options = parser.parse_args(arguments)
    bark = Bark.load(options.model, threads=options.threads)
    voice = None if options.voice == "none" else options.voice
    first_block(bark, text_of(LENGTHS[0]), voice)
    seconds = {}
    for length in LENGTHS:
        text = text_of(length)
        spent = [first_block(bark, text, voice) for _ in range(options.runs)]
        seconds[str(length)] = statistics.median(spent)
        print(f"{length:>9,} characters: {seconds[str(length)]:.3f} s", file=sys.stderr)
    document = {
        "benchmark": "first_block",
        "version": __version__,
        "backend": bark.backend.description,
        "voice": voice,
        "runs": options.runs,
        "seconds": seconds,
    }
    print(json.dumps(document))
    return 0


if __name__ == "__main__":
    sys.exit(main())

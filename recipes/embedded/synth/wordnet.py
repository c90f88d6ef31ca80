"""English sentences and phrases from WordNet 3.0 (its licence permits any use): usage examples and definitions.

Reads the four `data.*` files of Debian's `wordnet-base`. Knows nothing of speakers or audio.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from openbark.errors import TrainingError

WORDNET_FOLDER = Path("/usr/share/wordnet")
_PARTS = ("noun", "verb", "adj", "adv")
# Plain letters and the punctuation that the embedded model reads.
_READABLE = re.compile(r"[A-Za-z][A-Za-z ,.'!?;:-]*")
_OFFENSIVE = re.compile(
    r"\b(fuck|shit|cunt|nigger|whore|rape|slut|piss|fag|bitch|bastard|damn)\w*", re.IGNORECASE
)
_SHORTEST, _LONGEST = 12, 124
_MOST_WORDS = 24


def wordnet_examples(folder: Path = WORDNET_FOLDER) -> tuple[str, ...]:
    """Quoted usage examples, as sentences, sorted."""
    found = (quoted for gloss in _glosses(folder) for quoted in re.findall(r'"([^"]+)"', gloss))
    return _sentences(found)


def wordnet_definitions(folder: Path = WORDNET_FOLDER) -> tuple[str, ...]:
    """Definitions without their examples and without remarks in brackets, as sentences, sorted."""
    found = (
        re.sub(r"\([^)]*\)", " ", gloss.split('"', 1)[0]).split(";")[0]
        for gloss in _glosses(folder)
    )
    return _sentences(found)


def _glosses(folder: Path) -> list[str]:
    glosses = []
    for part in _PARTS:
        path = folder / f"data.{part}"
        if not path.is_file():
            raise TrainingError(
                f"{path} is missing; install Debian's package wordnet-base or give the folder that holds data.noun"
            )
        lines = path.read_text(encoding="latin-1").splitlines()
        glosses += [line.split("|", 1)[1] for line in lines if "|" in line]
    return glosses


def _sentences(candidates: Iterable[str]) -> tuple[str, ...]:
    kept = set()
    for candidate in candidates:
        text = " ".join(candidate.split()).strip(" ;,:-")
        fits = _SHORTEST <= len(text) <= _LONGEST and 3 <= len(text.split()) <= _MOST_WORDS
        if fits and _READABLE.fullmatch(text) and not _OFFENSIVE.search(text):
            text = text[0].upper() + text[1:]
            kept.add(text if text[-1] in ".!?" else text + ".")
    return tuple(sorted(kept))

"""English text to phonemes in the alphabet that Kokoro reads, one character per phoneme.

espeak-ng (through the `piper-tts` wheel, a training-time extra) writes IPA. The tables below replace what
Kokoro spells otherwise: diphthongs and affricates are single characters, American English has no length marks.
Knows nothing of models or audio.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Literal

from openbark.errors import MissingExtraError

Accent = Literal["american", "british"]
ACCENTS: tuple[Accent, ...] = ("american", "british")

_ESPEAK_VOICES: dict[Accent, str] = {"american": "en-us", "british": "en-gb-x-rp"}

# Order matters: longer spellings come before the characters they contain.
_BOTH = (
    *(("ɪʲ", "i"), ("ʲo", "jo"), ("ʲə", "jə"), ("ʲ", "")),
    *(("aɪ", "I"), ("aʊ", "W"), ("dʒ", "ʤ"), ("eɪ", "A"), ("tʃ", "ʧ"), ("ɔɪ", "Y")),
    *(("əl", "ᵊl"), ("ɚ", "əɹ"), ("r", "ɹ"), ("x", "k"), ("ç", "k"), ("ɐ", "ə"), ("ɬ", "l")),
    *(("g", "ɡ"), ("̃", ""), ("̩", ""), ("ʔ", "t")),
)
_BY_ACCENT: dict[Accent, tuple[tuple[str, str], ...]] = {
    "american": (
        *(("oʊ", "O"), ("ɜːɹ", "ɜɹ"), ("ɜː", "ɜɹ"), ("ɪə", "iə"), ("ɔːɹ", "ɔɹ"), ("ː", "")),
    ),
    "british": (("əʊ", "Q"), ("eə", "ɛː"), ("iə", "ɪə")),
}
_ZERO_WIDTH_JOINER = "‍"


class Phonemizer:
    """Writes English as phonemes; what `alphabet` does not hold is left out."""

    def __init__(self, alphabet: frozenset[str]) -> None:
        self._alphabet = alphabet
        self._espeak = _espeak_ng()

    def __call__(self, text: str, accent: Accent) -> str:
        """Phonemes of `text`, with stress marks, spaces and punctuation."""
        ipa = unicodedata.normalize("NFC", self._espeak(_ESPEAK_VOICES[accent], text))
        ipa = ipa.replace(_ZERO_WIDTH_JOINER, "")
        for spelled, character in (*_BOTH, *_BY_ACCENT[accent]):
            ipa = ipa.replace(spelled, character)
        return "".join(character for character in ipa if character in self._alphabet)


def _espeak_ng() -> Callable[[str, str], str]:
    try:
        from piper.phonemize_espeak import EspeakPhonemizer
    except ImportError as error:
        raise MissingExtraError(
            "phonemes need espeak-ng through piper-tts; install it with: pip install 'openbark[teacher]'"
        ) from error
    phonemizer = EspeakPhonemizer()

    def spoken(voice: str, text: str) -> str:
        return " ".join("".join(sentence) for sentence in phonemizer.phonemize(voice, text))

    return spoken

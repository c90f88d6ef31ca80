"""Speech recognition with pocketsphinx: open sentences under an n-gram model, phrases by grammar.

The one place that knows pocketsphinx (its acoustic model and pronunciations come inside its
package). Judges intelligibility, not beauty.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.language_model import choice_grammar
from benchmarks.waveforms import resample
from openbark.errors import MissingExtraError

__all__ = ["PhraseRecogniser", "Pronunciations", "Recogniser", "load_pronunciations"]

SAMPLE_RATE = 16_000
_PAD_SECONDS = 0.2
_DITHER = 1e-4
_PEAK = 0.5

# Words of the synthetic corpus that cmudict lacks; spelt out from their nearest relatives there.
_SUPPLEMENT = """
casseroles K AE S ER OW L Z; chins CH IH N Z; cursors K ER S ER Z; decorates D EH K ER EY T S
faints F EY N T S; kneels N IY L Z; octopuses AA K T AH P UH S IH Z; resetting R IY S EH T IH NG
restarts R IY S T AA R T S; skateboards S K EY T B AO R D Z; snored S N AO R D; teapots T IY P AA T S
trembles T R EH M B AH L Z; unplugging AH N P L AH G IH NG; unplugs AH N P L AH G Z
webcam W EH B K AE M; webcams W EH B K AE M Z
"""

Pronunciations = Mapping[str, Sequence[str]]
"""Word -> its pronunciations, phones separated by spaces."""


def _pocketsphinx() -> Any:
    try:
        import pocketsphinx
    except ImportError as error:
        raise MissingExtraError(
            'the recogniser needs pocketsphinx; install the extra: pip install "openbark[bench]"'
        ) from error
    return pocketsphinx


def _model_folder() -> Path:
    return Path(_pocketsphinx().get_model_path()) / "en-us"


def load_pronunciations() -> dict[str, tuple[str, ...]]:
    """Word -> its pronunciations (phones separated by spaces), from the package's cmudict.

    Ours for the few words of the corpus that it lacks.
    """
    found: dict[str, tuple[str, ...]] = {}
    text = (_model_folder() / "cmudict-en-us.dict").read_text(encoding="utf-8")
    for line in (*text.splitlines(), *re.split(r"[;\n]\s*", _SUPPLEMENT.strip())):
        head, _, phones = line.partition(" ")
        word = head.partition("(")[0]
        found[word] = (*found.get(word, ()), phones.strip())
    return found


class Recogniser:
    """A decoder over a closed set of words, under an ARPA model or a JSGF grammar.

    pocketsphinx's own settings are kept: on the teacher's validation audio neither the language
    weight, the insertion penalty, wider beams nor its noise removal gained anything.
    """

    def __init__(
        self, dictionary: Pronunciations, *, arpa: str | None = None, grammar: str | None = None
    ) -> None:
        """Give exactly one of `arpa` and `grammar`, as text; `dictionary` holds all their words."""
        name, model = ("lm", arpa) if arpa is not None else ("jsgf", grammar)
        with tempfile.TemporaryDirectory(prefix="openbark-") as folder:
            words_path, model_path = Path(folder) / "words.dict", Path(folder) / f"model.{name}"
            words_path.write_text(_dictionary_text(dictionary), encoding="utf-8")
            model_path.write_text(model or "", encoding="utf-8")
            self._decoder = _pocketsphinx().Decoder(
                hmm=str(_model_folder() / "en-us"),
                dict=str(words_path),
                loglevel="FATAL",
                **{name: str(model_path)},
            )

    def hear(self, waveform: npt.NDArray[np.floating], sample_rate: int) -> tuple[str, ...]:
        """The words heard in ``[L]``; empty when nothing fits."""
        pcm16 = _prepared(waveform, sample_rate)
        self._decoder.start_utt()
        self._decoder.process_raw(pcm16.tobytes(), full_utt=True)
        self._decoder.end_utt()
        guess = self._decoder.hyp()
        return tuple(re.sub(r"\(\d+\)", "", guess.hypstr).split()) if guess else ()


class PhraseRecogniser:
    """Tells phrases of a list from one another.

    Each phrase is one dictionary entry, so that the decoder cannot stop in the middle of one, as
    it does with a grammar of words.
    """

    def __init__(self, pronunciations: Pronunciations, phrases: Sequence[Sequence[str]]) -> None:
        self._phrases = {"_".join(words): tuple(words) for words in phrases}
        dictionary = {
            entry: [" ".join(parts) for parts in product(*(pronunciations[w] for w in words))]
            for entry, words in self._phrases.items()
        }
        self._recogniser = Recogniser(dictionary, grammar=choice_grammar(list(self._phrases)))

    def hear(self, waveform: npt.NDArray[np.floating], sample_rate: int) -> tuple[str, ...]:
        """The words of the phrase heard in ``[L]``; empty when none fits."""
        heard = self._recogniser.hear(waveform, sample_rate)
        return self._phrases.get(heard[0], ()) if heard else ()


def _prepared(waveform: npt.NDArray[np.floating], sample_rate: int) -> npt.NDArray[np.int16]:
    """16 kHz, 16 bit, equal peaks, padded; a whisper of noise keeps digital silence off log 0."""
    signal = resample(waveform, sample_rate, SAMPLE_RATE)
    signal = np.where(np.isfinite(signal), signal, 0.0)
    signal = signal * (_PEAK / max(float(np.abs(signal).max(initial=0.0)), 1e-4))
    signal = np.pad(signal, round(_PAD_SECONDS * SAMPLE_RATE))
    signal = signal + _DITHER * np.random.default_rng(0).standard_normal(len(signal))
    return (np.clip(signal, -1.0, 1.0) * 32767.0).astype("<i2")


def _dictionary_text(dictionary: Pronunciations) -> str:
    lines: list[str] = []
    for word, variants in sorted(dictionary.items()):
        for index, phones in enumerate(variants, 1):
            lines.append(f"{word if index == 1 else f'{word}({index})'} {phones}")
    return "\n".join([*lines, ""])

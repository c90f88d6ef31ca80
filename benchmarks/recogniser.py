"""Speech recognition with pocketsphinx: open sentences under an n-gram model, phrases by grammar.

The one place that knows pocketsphinx (its acoustic model and pronunciations come inside its
package). Judges intelligibility, not beauty.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.waveforms import resample
from openbark.errors import MissingExtraError

__all__ = ["Recogniser", "load_pronunciations"]

SAMPLE_RATE = 16_000
_PAD_SECONDS = 0.2
_DITHER = 1e-4
_PEAK = 0.5
_LEVEL_SECONDS = 0.01


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
    """Word -> its pronunciations (phones separated by spaces), from the package's cmudict."""
    found: dict[str, tuple[str, ...]] = {}
    text = (_model_folder() / "cmudict-en-us.dict").read_text(encoding="utf-8")
    for line in text.splitlines():
        head, _, phones = line.partition(" ")
        word = head.partition("(")[0]
        found[word] = (*found.get(word, ()), phones.strip())
    return found


class Recogniser:
    """A decoder for a closed vocabulary, either under an ARPA model or under a JSGF grammar."""

    def __init__(
        self,
        pronunciations: dict[str, tuple[str, ...]],
        words: Iterable[str],
        *,
        arpa: str | None = None,
        grammar: str | None = None,
        **settings: float,
    ) -> None:
        """Give exactly one of `arpa` and `grammar`, as text; every word needs a pronunciation."""
        with tempfile.TemporaryDirectory() as folder:
            dictionary = Path(folder) / "words.dict"
            dictionary.write_text(_dictionary_text(pronunciations, words), encoding="utf-8")
            model = Path(folder) / ("words.arpa" if arpa is not None else "phrases.gram")
            model.write_text(arpa if arpa is not None else grammar or "", encoding="utf-8")
            self._decoder = _pocketsphinx().Decoder(
                hmm=str(_model_folder() / "en-us"),
                dict=str(dictionary),
                loglevel="FATAL",
                **{"lm" if arpa is not None else "jsgf": str(model)},
                **settings,
            )

    def hear(self, waveform: npt.NDArray[np.floating], sample_rate: int) -> tuple[str, ...]:
        """The words heard in ``[L]``; empty when nothing fits."""
        signal = resample(waveform, sample_rate, SAMPLE_RATE)
        peak = float(np.abs(signal).max(initial=0.0))
        signal = signal * (_PEAK / peak) if peak > 0 else signal
        signal = np.pad(signal, round(_PAD_SECONDS * SAMPLE_RATE))
        signal = signal + _DITHER * np.random.default_rng(0).standard_normal(len(signal))
        pcm16 = (np.clip(signal, -1.0, 1.0) * 32767.0).astype("<i2")
        self._decoder.start_utt()
        self._decoder.process_raw(pcm16.tobytes(), full_utt=True)
        self._decoder.end_utt()
        guess = self._decoder.hyp()
        return tuple(re.sub(r"\(\d+\)", "", guess.hypstr).split()) if guess else ()


def _dictionary_text(pronunciations: dict[str, tuple[str, ...]], words: Iterable[str]) -> str:
    lines: list[str] = []
    for word in sorted(set(words)):
        for index, phones in enumerate(pronunciations[word], 1):
            lines.append(f"{word if index == 1 else f'{word}({index})'} {phones}")
    return "\n".join([*lines, ""])

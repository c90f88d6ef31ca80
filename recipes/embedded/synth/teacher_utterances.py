"""Labelled lines as training utterances: semantic tokens and the letter spoken in each frame.

Joins the labels, the phone alphabet and the letter alignment; knows nothing of networks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openbark.training.data import Utterance
from recipes.embedded.synth.align import LetterTable, align_letters, fit_letter_table
from recipes.embedded.synth.kokoro import FRAME_SAMPLES, SAMPLE_RATE
from recipes.embedded.synth.labelled import LabelledLine, resampled_f0
from recipes.embedded.synth.phones import (
    TOKEN_RATE,
    TimedPhones,
    is_silent,
    median_f0,
    timed_phones,
    tokens_of,
)

_SAMPLES_PER_TOKEN = SAMPLE_RATE // TOKEN_RATE
_LETTER_LINES = 3000


@dataclass(frozen=True)
class _Timed:
    line: LabelledLine
    phones: TimedPhones


def fit_letters(lines: Sequence[LabelledLine]) -> LetterTable:
    """Which letters stand for which phones, learned from the first lines."""
    pairs = [
        (line.text, timed_phones(line.phonemes, line.durations).units)
        for line in lines[:_LETTER_LINES]
    ]
    return fit_letter_table(pairs, is_silent())


def teacher_utterances(
    lines: Sequence[LabelledLine], letters: LetterTable, prefix: str
) -> Iterator[Utterance]:
    """One utterance per line, keyed `prefix-00000`...; a line with more phones than frames is left out."""
    by_speaker: dict[str, list[NDArray[np.float32]]] = defaultdict(list)
    for line in lines:
        by_speaker[line.speaker].append(line.f0)
    medians = {name: median_f0(values) for name, values in by_speaker.items()}
    timed = [_Timed(line, timed_phones(line.phonemes, line.durations)) for line in lines]
    positions = align_letters(letters, [(item.line.text, item.phones.units) for item in timed])
    for index, (item, position) in enumerate(zip(timed, positions, strict=True)):
        n_samples = int(item.line.durations.sum(dtype=np.int64)) * FRAME_SAMPLES
        n_frames = -(-n_samples // _SAMPLES_PER_TOKEN)
        if len(item.phones.units) > n_frames:
            continue
        median = medians[item.line.speaker]
        tokens, owner = tokens_of(item.phones, item.line.f0, median, n_frames)
        waveform = item.line.waveform
        if waveform is not None:
            waveform = np.pad(waveform, (0, n_frames * _SAMPLES_PER_TOKEN - len(waveform)))
        yield Utterance(
            f"{prefix}-{index:06d}",
            item.line.text,
            item.line.speaker,
            waveform=waveform,
            semantic=tokens,
            guide=position[owner],
            pitch=None if waveform is None else _tenths(item.line.f0, n_frames),
        )


def _tenths(f0: NDArray[np.float32], n_frames: int) -> NDArray[np.int16]:
    """Pitch per frame of 20 ms in tenths of a hertz."""
    return np.round(resampled_f0(f0, n_frames, TOKEN_RATE) * 10).astype(np.int16)

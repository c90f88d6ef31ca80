"""A labelled corpus, texts with labels alone, and plain recordings, brought into the recipe's shards.

Splits: train and valid (sound, tokens, pitch), texts and texts_valid (tokens only, for the semantic stage), speech (sound
and pitch of recordings without text, for codec, coarse and fine), codec_only (those recordings at other rates, for the
codec). Every split is written once and kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openbark.audio import read_audio, resample
from openbark.errors import TrainingError
from openbark.training.data import Utterance, write_shards
from recipes.embedded.config import CHARACTERS
from recipes.embedded.synth.kokoro import SAMPLE_RATE
from recipes.embedded.synth.labelled import read_labelled
from recipes.embedded.synth.pitch import fundamental_frequency
from recipes.embedded.synth.teacher_utterances import fit_letters, teacher_utterances

_FRAME = 480
_AUDIO = (".wav", ".flac", ".ogg", ".opus", ".mp3")
_SPEAKER = re.compile(r"[^-_]+")
# Recordings are brought to the teacher's level, so that one speaker's level is not a trait of the voice.
_PEAK = 0.6
# Beyond these, what is heard is not a human voice any more.
_SLOWEST, _FASTEST = 0.5, 2.0


@dataclass(frozen=True)
class LabelledCorpusOptions:
    """Where everything is.

    Attributes:
        spoken: labelled corpus with sound.
        texts: labelled corpus without sound, or None.
        recordings: folder of recordings without text, named SPEAKER-...; or None.
        held_out: texts that must not be trained on, one a line; None for no file.
        valid_every: every so many-th line is held out.
        stretch_seconds: recordings are cut into pieces of this length, so that one can be the history of another.
        rates: the codec also hears each recording this many times as fast. Pitch and formants move together, so a copy
            stands for a speaker of another size.
    """

    spoken: Path
    texts: Path | None = None
    recordings: Path | None = None
    held_out: Path | None = None
    valid_every: int = 97
    stretch_seconds: float = 4.0
    rates: tuple[float, ...] = (0.84, 0.92, 1.09, 1.18)
    seed: int = 0

    def __post_init__(self) -> None:
        for rate in self.rates:
            if not _SLOWEST <= rate <= _FASTEST:
                raise TrainingError(
                    f"rates: {rate} is not allowed; allowed: {_SLOWEST} to {_FASTEST}"
                )


def build_labelled_corpus(options: LabelledCorpusOptions, directory: Path) -> None:
    """Write every split that is not there yet."""
    held_out = text_keys(options.held_out)
    spoken = [u for u in _utterances(options.spoken, "spoken") if _key(u.text) not in held_out]
    train, valid = _split(spoken, options.valid_every)
    _write(directory / "train", train)
    _write(directory / "valid", valid)
    if options.texts is not None:
        labelled = [u for u in _utterances(options.texts, "texts") if _key(u.text) not in held_out]
        train, valid = _split(labelled, options.valid_every)
        _write(directory / "texts", train)
        _write(directory / "texts_valid", valid)
    if options.recordings is not None:
        speech = list(_stretches(options))
        _write(directory / "speech", speech)
        if options.rates:
            faster = [_at_rate(each, rate) for each in speech for rate in options.rates]
            _write(directory / "codec_only", faster)


def _utterances(folder: Path, prefix: str) -> list[Utterance]:
    lines = list(read_labelled(folder))
    made = teacher_utterances(lines, fit_letters(lines), prefix)
    return [utterance for utterance in made if set(utterance.text) <= set(CHARACTERS)]


def _split(
    utterances: Sequence[Utterance], valid_every: int
) -> tuple[list[Utterance], list[Utterance]]:
    """(train, valid); a text that is held out is nowhere in the training part."""
    valid = [u for i, u in enumerate(utterances) if i % valid_every == valid_every // 2]
    keys = {_key(u.text) for u in valid}
    return [u for u in utterances if _key(u.text) not in keys], valid


def _key(text: str) -> str:
    return " ".join(re.findall(r"[a-z']+", text.lower()))


def text_keys(path: Path | None) -> frozenset[str]:
    """The texts of a file, one a line, as they are compared: without case and punctuation."""
    if path is None:
        return frozenset()
    return frozenset(_key(line) for line in path.read_text(encoding="utf-8").splitlines())


def _stretches(options: LabelledCorpusOptions) -> Iterator[Utterance]:
    folder = options.recordings
    if folder is None:
        return
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _AUDIO)
    if not paths:
        raise TrainingError(f"{folder} holds no recordings ({', '.join(_AUDIO)})")
    length = round(options.stretch_seconds * SAMPLE_RATE) // _FRAME * _FRAME
    for path in paths:
        waveform, rate = read_audio(path)
        samples = resample(waveform, rate, SAMPLE_RATE)
        samples = samples * np.float32(_PEAK / max(1e-3, float(np.abs(samples).max(initial=0.0))))
        speaker = _SPEAKER.match(path.stem)
        for index in range(max(1, len(samples) // length)):
            piece = samples[index * length : (index + 1) * length]
            yield _recorded(path.stem, index, speaker[0] if speaker else path.stem, piece)


def _recorded(stem: str, index: int, speaker: str, piece: NDArray[np.float32]) -> Utterance:
    pcm = np.round(np.clip(piece, -1, 1) * 32767).astype(np.int16)
    pitch = np.round(fundamental_frequency(piece, SAMPLE_RATE) * 10).astype(np.int16)
    blank = Utterance(f"{stem}-{index:02d}", "", f"recorded-{speaker}")
    return replace(blank, waveform=pcm, pitch=pitch)


def _at_rate(recorded: Utterance, rate: float) -> Utterance:
    """The recording `rate` times as fast, its pitch with it; cut to whole frames."""
    if recorded.waveform is None or recorded.pitch is None:
        raise TypeError("recordings have a waveform and its pitch")
    samples = recorded.waveform.astype(np.float32) / np.float32(32767)
    faster = resample(samples, round(SAMPLE_RATE * rate), SAMPLE_RATE)
    n_frames = len(faster) // _FRAME
    source = ((np.arange(n_frames) + 0.5) * rate).astype(np.int64)
    pitch = recorded.pitch[np.minimum(source, len(recorded.pitch) - 1)] * rate
    return replace(
        recorded,
        key=f"{recorded.key}x{rate:g}",
        speaker=f"{recorded.speaker}x{rate:g}",
        waveform=np.round(np.clip(faster[: n_frames * _FRAME], -1, 1) * 32767).astype(np.int16),
        pitch=np.round(pitch).astype(np.int16),
    )


def _write(directory: Path, utterances: Sequence[Utterance]) -> None:
    if directory.is_dir():
        return
    partial = directory.with_name(directory.name + ".partial")
    if partial.is_dir():
        for path in partial.iterdir():
            path.unlink()
        partial.rmdir()
    write_shards(partial, utterances)
    partial.rename(directory)

"""Recordings to training shards: audio and text in, semantic tokens and codec codes out.

Takes a folder (`x.wav` beside `x.txt`) or a JSON-lines file (`{"audio": ..., "text": ..., "speaker": ...}`) and a
checkpoint whose codec and semantic encoder do the work. Nothing is dropped silently: every refused recording is named
with its reason in `prepare.json`.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from openbark.audio import read_audio, resample
from openbark.backends.torch.semantic_encoder import SemanticEncoder
from openbark.checkpoints.checkpoint import Checkpoint
from openbark.errors import AudioError, CheckpointUnsupportedError, TextError, TrainingError
from openbark.text.reader import normalize
from openbark.text.tokenizer import Tokenizer
from openbark.training.data import Utterance, refuse_shards, write_shard
from openbark.training.networks import codec_from, semantic_encoder_from

_PER_SHARD = 256

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")


@dataclass(frozen=True)
class Recording:
    """One line of a data set. key: names the utterance made of it, unique in the data set."""

    key: str
    audio: Path
    text: str
    speaker: str


@dataclass(frozen=True)
class PrepareReport:
    """What became of the recordings: counts per split, seconds, and every refusal with its reason."""

    n_train: int
    n_valid: int
    seconds: float
    refused: dict[str, str]


def find_recordings(source: Path) -> list[Recording]:
    """The recordings of a folder (speaker = sub-folder) or of a JSON-lines file; TrainingError when there are none."""
    if source.is_dir():
        found = list(_folder(source))
    elif source.is_file():
        found = list(_json_lines(source))
    else:
        raise TrainingError(
            f"{source} is neither a folder nor a file; give a folder of .wav and .txt, or a .jsonl"
        )
    if not found:
        raise TrainingError(
            f"{source} holds no recordings: expected x.wav beside x.txt, or JSON lines"
        )
    return found


def _folder(source: Path) -> Iterator[Recording]:
    for audio in sorted(
        path for path in source.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES
    ):
        text = audio.with_suffix(".txt")
        if not text.is_file():
            raise TrainingError(f"{audio} has no text: write it to {text}")
        name = audio.relative_to(source)
        yield Recording(
            name.with_suffix("").as_posix(),
            audio,
            text.read_text(encoding="utf-8").strip(),
            name.parent.as_posix(),
        )


def _json_lines(source: Path) -> Iterator[Recording]:
    for number, line in enumerate(source.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
            audio, text = Path(values["audio"]), str(values["text"])
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise TrainingError(
                f'{source}, line {number}: expected {{"audio": PATH, "text": TEXT, "speaker": NAME}} ({error})'
            ) from error
        path = source.parent / audio
        name = path.relative_to(source.parent) if path.is_relative_to(source.parent) else path
        speaker = str(values.get("speaker", "speaker"))
        yield Recording(name.with_suffix("").as_posix(), path, text, speaker)


def prepare(
    recordings: Sequence[Recording], checkpoint: Checkpoint, output: Path, valid_share: float = 0.05
) -> PrepareReport:
    """Encode recordings with a checkpoint's codec and semantic encoder into train/ and valid/ shards of `output`.

    The split follows from each recording's name, so adding data later moves nothing. Raises
    CheckpointUnsupportedError when the checkpoint has no semantic encoder, TrainingError when nothing is usable.
    """
    if not 0.0 < valid_share < 1.0:
        raise TrainingError(f"valid_share is {valid_share}; allowed: more than 0, less than 1")
    if checkpoint.config.semantic_encoder is None:
        raise CheckpointUnsupportedError(
            f"{checkpoint.directory} has no semantic encoder, so audio cannot become semantic tokens; "
            "use the embedded model or train one with `openbark train semantic-tokenizer`"
        )
    worker = _Encoder(checkpoint)
    refused: dict[str, str] = {}
    seen: dict[str, Path] = {}
    train, valid = _Split(output / "train"), _Split(output / "valid")
    for recording in recordings:
        before = seen.setdefault(recording.key, recording.audio)
        if before is not recording.audio:
            refused[str(recording.audio)] = (
                f"{before} has the same name {recording.key!r}; give each recording its own file name"
            )
            continue
        try:
            utterance = worker.encode(recording)
        except (AudioError, TextError) as error:
            refused[str(recording.audio)] = str(error)
            continue
        position = zlib.crc32(recording.key.encode()) / 2**32
        (valid if position < valid_share else train).add(utterance)
    if not valid.count and train.count > 1:
        valid.add(train.take_last())
    if not train.count:
        raise TrainingError(f"no usable recordings; refused: {refused}")
    n_samples = train.finish() + valid.finish()
    report = PrepareReport(
        train.count, valid.count, n_samples / checkpoint.config.sample_rate, refused
    )
    (output / "prepare.json").write_text(
        json.dumps(report.__dict__, indent=2) + "\n", encoding="utf-8"
    )
    return report


class _Split:
    """One split on its way to shards: holds the utterances of one shard, not of the whole data set."""

    def __init__(self, directory: Path) -> None:
        refuse_shards(directory)
        self._directory = directory
        self._held: list[Utterance] = []
        self._n_shards = 0
        self._n_samples = 0
        self.count = 0

    def add(self, utterance: Utterance) -> None:
        # A full shard is written when the next utterance comes, so that the last one can be taken back.
        if len(self._held) == _PER_SHARD:
            self._write()
        self._held.append(utterance)
        self.count += 1

    def take_last(self) -> Utterance:
        self.count -= 1
        return self._held.pop()

    def finish(self) -> int:
        """Write the rest; the samples of all shards."""
        if self._held:
            self._write()
        return self._n_samples

    def _write(self) -> None:
        write_shard(self._directory, self._n_shards, self._held)
        self._n_samples += sum(len(u.waveform) for u in self._held if u.waveform is not None)
        self._n_shards += 1
        self._held = []


class _Encoder:
    """The networks that turn one recording into one utterance."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._config = checkpoint.config
        self._tokenizer = Tokenizer.load(checkpoint.tokenizer_path)
        self._codec = codec_from(checkpoint)
        self._semantic: SemanticEncoder = semantic_encoder_from(checkpoint)

    @torch.inference_mode()
    def encode(self, recording: Recording) -> Utterance:
        """Read, resample and encode; AudioError or TextError for what cannot be used."""
        text = normalize(recording.text, self._config.text_normalizer)
        n_tokens = len(self._tokenizer.encode(text))
        limit = self._config.semantic_rules.max_text_tokens
        if not 0 < n_tokens <= limit:
            raise TextError(
                f"the text has {n_tokens} tokens; allowed: 1..{limit}; cut the recording into sentences"
            )
        waveform, rate = read_audio(recording.audio)
        waveform = resample(waveform, rate, self._config.sample_rate)
        if float(np.abs(waveform).max(initial=0.0)) == 0.0:
            raise AudioError("the recording is silent")
        hop = self._config.codec.hop_length
        waveform = np.pad(waveform, (0, -len(waveform) % hop))
        samples = torch.from_numpy(waveform)[None]
        n_codebooks = self._config.fine_rules.n_codebooks
        codes: NDArray[np.int64] = self._codec.encode(samples, n_codebooks)[0].numpy()
        semantic: NDArray[np.int64] = self._semantic.encode(samples)[0].numpy()
        return Utterance(
            key=recording.key,
            text=text,
            speaker=recording.speaker,
            waveform=np.clip(np.round(waveform * 32767.0), -32768, 32767).astype(np.int16),
            semantic=semantic.astype(np.int16),
            codes=codes.astype(np.int16),
        )

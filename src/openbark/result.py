"""What a request returns: the waveform, and everything needed to make it again.

Knows no backend; saving is `openbark.audio`, making it again `openbark.replay`.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from openbark import __version__
from openbark.audio import (
    MAX_OGG_TAG_BYTES,
    Edits,
    count_clipped,
    encode_audio,
    loudness,
    output_format,
    play,
    write_audio,
)
from openbark.config import BarkConfig
from openbark.errors import AudioError, ParamError
from openbark.files import expanded, write_atomically
from openbark.longform.join import AttemptReport
from openbark.params import GenerationParams
from openbark.stages.semantic import StopReason
from openbark.text.timings import TextTiming, format_timings
from openbark.voices.voice import Voice
from openbark.watermark import Payload, embed_watermark, mark_name, watermark_key

_MAX_TITLE, _MAX_REPR, _MAX_HTML = 200, 60, 500


@dataclass(frozen=True, eq=False)
class ClipTokens:
    """Tokens of the three stages: semantic [T], coarse codes [k, F], fine codes [K, F]."""

    semantic: NDArray[np.int64]
    coarse: NDArray[np.int64]
    fine: NDArray[np.int64]

    def __repr__(self) -> str:
        shapes = ", ".join(
            f"{name} {list(getattr(self, name).shape)}" for name in ("semantic", "coarse", "fine")
        )
        return f"<ClipTokens: {shapes}>"


@dataclass(frozen=True)
class ModelOrigin:
    """Which model made a clip, and how it was computed.

    source: what `Bark.load` takes where that means the same everywhere ("embedded", a hub's OWNER/NAME), None
    for a folder of the user's. fingerprint: `openbark.checkpoints.fingerprint`. backend: "native" or "torch";
    device, dtype: as loaded; coarse_window: as given to `Bark.load`.
    """

    source: str | None = None
    fingerprint: str | None = None
    backend: str | None = None
    device: str | None = None
    dtype: str | None = None
    coarse_window: str | tuple[int, int] | None = None


@dataclass(frozen=True)
class Segment:
    """The stretch of a clip that speaks one piece of its text.

    start, stop: characters of the clip's `text`; first_sample, end_sample: of its waveform. voice: its name.
    n_attempts: how often it was generated until it was kept; score: of the attempt kept, where it was scored;
    attempts: all of them, with what was wrong. late_seconds, overrun_seconds: how much later than its time a
    timed piece began, and ended.
    """

    start: int
    stop: int
    first_sample: int
    end_sample: int
    seed: int
    stop_reason: StopReason
    voice: str | None = None
    n_attempts: int = 1
    score: float | None = None
    attempts: tuple[AttemptReport, ...] = ()
    late_seconds: float = 0.0
    overrun_seconds: float = 0.0


@dataclass(frozen=True, eq=False)
class Clip:
    """Generated speech and how it came to be.

    waveform: float32 [L] at `sample_rate` Hz. voice: name of the voice, or None without one; voice_digest: of
    its arrays. params: as used, checkpoint defaults filled in. text: as given; normalized_text: as the model
    read it. timings: wall seconds by stage. n_text_tokens: text slots used. edits: made to the waveform since;
    the tokens are those before. segments: where each piece of the text is spoken; one for a text spoken whole.
    recipe: what was asked besides, as plain values; part of `provenance`.

    `len(clip)` is its samples, `np.asarray(clip)` the waveform. A clip can be pickled and copied.
    """

    waveform: NDArray[np.float32] = field(repr=False)
    sample_rate: int
    tokens: ClipTokens = field(repr=False)
    seed: int
    stop_reason: StopReason
    timings: Mapping[str, float] = field(repr=False)
    text: str
    normalized_text: str = field(repr=False)
    n_text_tokens: int = field(repr=False)
    voice: str | None
    params: GenerationParams = field(repr=False)
    config: BarkConfig = field(repr=False)
    origin: ModelOrigin = field(default_factory=ModelOrigin, repr=False)
    voice_digest: str | None = field(default=None, repr=False)
    edits: Edits = field(default_factory=Edits, repr=False)
    segments: tuple[Segment, ...] = field(default=(), repr=False)
    recipe: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for name in ("timings", "recipe"):  # as dictionaries: a read-only view cannot be pickled
            object.__setattr__(self, name, dict(getattr(self, name)))
        if not self.segments:
            whole = Segment(
                0, len(self.text), 0, len(self.waveform), self.seed, self.stop_reason, self.voice
            )
            object.__setattr__(self, "segments", (whole,))

    def __repr__(self) -> str:
        text = self.text if len(self.text) <= _MAX_REPR else f"{self.text[: _MAX_REPR - 3]}..."
        return (
            f"<Clip {text!r}: {self.seconds:.2f} s at {self.sample_rate} Hz, "
            f"{_voice_words(self.voice)}, seed {self.seed}, stopped by {self.stop_reason}>"
        )

    def __len__(self) -> int:
        """Samples of the waveform."""
        return len(self.waveform)

    def __bool__(self) -> bool:
        """True: `len` is not a statement about whether there is a clip."""
        return True

    def __array__(
        self, dtype: np.typing.DTypeLike | None = None, copy: bool | None = None
    ) -> NDArray[Any]:
        """The waveform, for numpy and everything that takes arrays."""
        array = np.asarray(self.waveform, dtype=dtype)
        shared = np.shares_memory(array, self.waveform)
        if copy is False and not shared:
            raise ValueError(f"a waveform of float32 becomes {array.dtype} only as a copy")
        return array.copy() if copy and shared else array

    @property
    def seconds(self) -> float:
        """Duration of the audio."""
        return len(self.waveform) / self.sample_rate

    @property
    def duration(self) -> float:
        """`seconds`, under the name that other audio packages use."""
        return self.seconds

    @property
    def wall_seconds(self) -> float:
        """Time all stages took."""
        return sum(self.timings.values())

    @property
    def real_time_factor(self) -> float:
        """Wall seconds per second of audio; lower is better."""
        return self.wall_seconds / self.seconds if self.seconds else 0.0

    @property
    def n_clipped(self) -> int:
        """Samples beyond full scale, which every format but "f32" clips."""
        return count_clipped(self.waveform)

    @property
    def loudness(self) -> float:
        """Loudness in LUFS (ITU-R BS.1770-4); -inf for silence."""
        return loudness(self.waveform, self.sample_rate)

    def edited(
        self,
        trim: bool = False,
        speed: float = 1.0,
        loudness: float | None = None,
        sample_rate: int | None = None,
    ) -> Clip:
        """This clip without the silence at its ends, at another speed (0.5 to 2, same pitch), loudness (LUFS)
        or sample rate (Hz): see `openbark.audio.Edits`. The tokens stay.

        Raises ParamError for values outside, or a clip that is edited already.
        """
        return self.edited_by(Edits(trim, speed, loudness, sample_rate))

    def edited_by(self, edits: Edits) -> Clip:
        """`edited` with all of it in one object."""
        if edits.is_none:
            return self
        if not self.edits.is_none or "watermark" in self.recipe:
            raise ParamError("this clip is edited already; edit the one that was generated")
        waveform, start = edits.apply(self.waveform, self.sample_rate)
        rate = edits.sample_rate or self.sample_rate
        scale = rate / self.sample_rate / edits.speed

        def moved(sample: int) -> int:
            return min(max(round((sample - start) * scale), 0), len(waveform))

        segments = tuple(
            replace(
                segment,
                first_sample=moved(segment.first_sample),
                end_sample=moved(segment.end_sample),
            )
            for segment in self.segments
        )
        return replace(self, waveform=waveform, sample_rate=rate, edits=edits, segments=segments)

    def watermarked(self) -> Clip:
        """This clip with the watermark of the environment's key (docs/detection.md); edits come before it."""
        mark = Payload.of(asdict(self.config), self.seed)
        marked = embed_watermark(self.waveform, self.sample_rate, mark)
        said = {"watermark": mark_name(watermark_key())}
        return replace(self, waveform=marked, recipe={**self.recipe, **said})

    def provenance(self) -> dict[str, Any]:
        """What it takes to make this clip again, as plain values for JSON; no time and no path in it."""
        found: dict[str, Any] = {
            "generator": f"openbark {__version__}",
            "model": self.config.name,
            "made_with": asdict(self.origin),
            "text": self.text,
            "voice": self.voice,
            "voice_digest": self.voice_digest,
            "seed": self.seed,
            "params": asdict(self.params),
        }
        if not self.edits.is_none:
            found["edits"] = asdict(self.edits)
        return found | dict(self.recipe)

    def to_dict(self) -> dict[str, Any]:
        """The provenance and the measurements: duration, stop reason, timings, segments; plain values for JSON.

        Tokens and samples are not in it.
        """
        return self.provenance() | {
            "seconds": round(self.seconds, 4),
            "sample_rate": self.sample_rate,
            "wall_seconds": round(self.wall_seconds, 4),
            "real_time_factor": round(self.real_time_factor, 4),
            "stop_reason": str(self.stop_reason),
            "timings": {stage: round(seconds, 4) for stage, seconds in self.timings.items()},
            "normalized_text": self.normalized_text,
            "n_text_tokens": self.n_text_tokens,
            "n_clipped": self.n_clipped,
            "segments": [self._segment(segment) for segment in self.segments],
        }

    def subtitles(self, format: str = "srt", words: bool = False) -> str:
        """When each piece of the text is heard, as "srt", "vtt" or "json": its first and last sound, from the
        samples. words: also of words, estimated from their length and marked so. Raises ParamError."""
        pieces = [
            TextTiming(
                self.text[segment.start : segment.stop],
                segment.first_sample / self.sample_rate,
                segment.end_sample / self.sample_rate,
                segment.start,
                segment.stop,
            )
            for segment in self.segments
        ]
        return format_timings(pieces, format, words)

    def to_json(self) -> str:
        """`to_dict` as one line of JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    def to_bytes(self, format: str = "wav", metadata: bool = True) -> bytes:
        """The file that `save` writes, in memory. Raises AudioError for an unknown format."""
        tags = self._tags(format, metadata)
        return encode_audio(self.waveform, self.sample_rate, format, tags)

    def save(
        self,
        target: str | os.PathLike[str] | BinaryIO,
        format: str | None = None,
        metadata: bool = True,
        sidecar: bool = False,
    ) -> None:
        """Write an audio file: the format of its suffix, or `format` ("wav", "f32", "flac", "mp3", "ogg",
        "pcm"); WAV for a stream.

        metadata: put the text, the seed and the rest of `provenance` into the file's tags; `openbark replay`
        reads them. sidecar: write `to_json` to FILE.json beside it, the only place for a "pcm" file's.
        Samples beyond full scale are clipped, see `n_clipped`. Raises AudioError when the target cannot be
        written.
        """
        if not isinstance(target, (str, os.PathLike)):
            if not hasattr(target, "write"):
                raise AudioError(
                    f"a clip is saved to a path or a binary stream, not to {type(target).__name__}"
                )
            if sidecar:
                raise AudioError("a stream has no sidecar; give a path")
            name = format or "wav"
            write_audio(target, self.waveform, self.sample_rate, name, self._tags(name, metadata))
            return
        file = expanded(target)
        name = output_format(file, format)
        write_audio(file, self.waveform, self.sample_rate, name, self._tags(name, metadata))
        if sidecar:
            path = sidecar_path(file)
            try:
                write_atomically(path, self.to_json().encode() + b"\n")
            except OSError as error:
                raise AudioError(f"cannot write {path}: {error.strerror}") from error

    def play(self) -> None:
        """Play it through the machine's speakers and wait for its end. Raises AudioError without a player."""
        play(self.waveform, self.sample_rate)

    def as_voice(self, name: str | None = None, metadata: Mapping[str, Any] | None = None) -> Voice:
        """A voice that continues from this clip. Raises VoiceError for a clip that is too short."""
        origin = {
            "origin": f"generated by openbark {__version__} with {self.config.name}",
            "text": self.text,
            "seed": self.seed,
            "voice": self.voice,
        }
        voice = Voice(
            semantic=self.tokens.semantic,
            coarse=self.tokens.coarse,
            fine=self.tokens.fine,
            name=name,
            metadata={**origin, **(metadata or {})},
        )
        voice.validate(self.config)
        return voice

    def _segment(self, segment: Segment) -> dict[str, Any]:
        found = asdict(segment)
        first, end = found.pop("first_sample"), found.pop("end_sample")
        found["stop_reason"] = str(segment.stop_reason)
        found["text"] = self.text[segment.start : segment.stop]
        found["start_seconds"] = round(first / self.sample_rate, 4)
        found["end_seconds"] = round(end / self.sample_rate, 4)
        return found

    def _tags(self, format: str, metadata: bool) -> Mapping[str, str]:
        if not metadata:
            return {}
        provenance = self.provenance()
        comment = json.dumps(provenance, ensure_ascii=False)
        title = self.text[:_MAX_TITLE]
        software = f"openbark {__version__}"
        if format == "ogg" and len((title + comment + software).encode()) > MAX_OGG_TAG_BYTES:
            text = self.text.encode()
            provenance["text"] = None
            provenance["text_sha256"] = hashlib.sha256(text).hexdigest()
            comment = json.dumps(provenance, ensure_ascii=False)
        return {"title": title, "comment": comment, "software": software}

    def _repr_html_(self) -> str:
        """A player and what it plays, for notebooks."""
        data = base64.b64encode(self.to_bytes(metadata=False)).decode()
        about = (
            f"{self.seconds:.2f} s, {_voice_words(self.voice)}, seed {self.seed}, "
            f"model {self.config.name}"
        )
        text = self.text if len(self.text) <= _MAX_HTML else f"{self.text[: _MAX_HTML - 3]}..."
        return (
            f'<audio controls src="data:audio/wav;base64,{data}"></audio>'
            f"<p>{html.escape(text)}<br><small>{html.escape(about)}</small></p>"
        )


def _voice_words(voice: str | None) -> str:
    return f"voice {voice}" if voice else "no named voice"


def sidecar_path(audio: str | os.PathLike[str]) -> Path:
    """Where the sidecar of an audio file lies: FILE.json."""
    path = Path(audio)
    return path.with_name(f"{path.name}.json")

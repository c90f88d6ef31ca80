"""Waveforms: to files and back, block by block or whole, and what can be done to one without a model.

A waveform is float32 samples in [-1, 1], shape `[L]`, mono. Knows nothing of models or voices.
"""

from __future__ import annotations

from openbark.audio.edits import Edits, Stretcher, stretch
from openbark.audio.encoders import MAX_OGG_TAG_BYTES, AudioEncoder, encode_audio, open_encoder
from openbark.audio.files import check_output, read_audio, stored_format, write_audio
from openbark.audio.formats import FORMATS, LOSSLESS, MEDIA_TYPES, output_format
from openbark.audio.joining import Joiner
from openbark.audio.loudness import loudness, with_loudness
from openbark.audio.playback import LivePlayer, find_player, play
from openbark.audio.resample import resample
from openbark.audio.samples import count_clipped, pcm16
from openbark.audio.tags import read_tags
from openbark.audio.trim import speech_bounds, trim_silence
from openbark.types import Waveform

__all__ = [
    "FORMATS",
    "LOSSLESS",
    "MAX_OGG_TAG_BYTES",
    "MEDIA_TYPES",
    "AudioEncoder",
    "Edits",
    "Joiner",
    "LivePlayer",
    "Stretcher",
    "Waveform",
    "check_output",
    "count_clipped",
    "encode_audio",
    "find_player",
    "loudness",
    "open_encoder",
    "output_format",
    "pcm16",
    "play",
    "read_audio",
    "read_tags",
    "resample",
    "speech_bounds",
    "stored_format",
    "stretch",
    "trim_silence",
    "with_loudness",
    "write_audio",
]

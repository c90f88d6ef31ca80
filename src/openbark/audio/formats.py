"""The audio formats by name: what each is, the suffixes that mean it, its media type."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from openbark.errors import AudioError

FORMATS: Mapping[str, str] = MappingProxyType(
    {
        "wav": "16-bit PCM WAV, plays everywhere",
        "f32": "32-bit float WAV, exact",
        "flac": "16-bit FLAC, lossless",
        "mp3": "MP3",
        "ogg": "Ogg Opus",
        "aac": "AAC (ADTS), needs the extra [av]; holds no tags and cannot be read back here",
        "pcm": "raw 16-bit little-endian samples, no header",
    }
)
"""Formats by name, with what each is. "opus" is another name of "ogg"."""

LOSSLESS = ("wav", "f32", "flac", "pcm")
"""Formats that give back the samples that went in (16 bits of them, but for "f32")."""

MEDIA_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "wav": "audio/wav",
        "f32": "audio/wav",
        "flac": "audio/flac",
        "mp3": "audio/mpeg",
        "ogg": "audio/ogg",
        "aac": "audio/aac",
        "pcm": "audio/pcm",
    }
)
"""What HTTP calls each format."""

SUFFIXES: Mapping[str, str] = MappingProxyType(
    {
        ".wav": "wav",
        ".wave": "wav",
        ".flac": "flac",
        ".mp3": "mp3",
        ".ogg": "ogg",
        ".opus": "ogg",
        ".aac": "aac",
        ".pcm": "pcm",
        ".raw": "pcm",
    }
)
"""Suffixes of file names, with the format each means."""

_ALIASES = MappingProxyType({"opus": "ogg"})


def check_format(name: str) -> str:
    """The key of FORMATS that `name` means. Raises AudioError with the allowed names for any other."""
    lowered = name.lower() if isinstance(name, str) else ""
    found = _ALIASES.get(lowered, lowered)
    if found not in FORMATS:
        raise AudioError(f"unknown audio format {name!r}; allowed: {', '.join(FORMATS)}")
    return found


def output_format(path: Path, format: str | None = None) -> str:
    """The format to write at `path`: `format` itself, else the one its suffix names.

    Raises AudioError for an unknown name or suffix, and where the two name different kinds of files.
    """
    suffix = path.suffix.lower()
    if format is not None:
        name = check_format(format)
        named = SUFFIXES.get(suffix, name)
        if named != name and {named, name} != {"wav", "f32"}:
            raise AudioError(
                f"{path} ends in {suffix}, which is {named}, and the format is {name}; "
                "change one of them, or leave the format out"
            )
        return name
    if suffix not in SUFFIXES:
        raise AudioError(
            f"{path}: cannot tell the audio format from {suffix or 'a name without suffix'!r}; "
            f"use one of {', '.join(SUFFIXES)}, or give the format: {', '.join(FORMATS)}"
        )
    return SUFFIXES[suffix]

"""Text inside audio files: WAV's LIST/INFO chunk and MP3's ID3 tag, written; those of any file, read.

FLAC and Ogg carry Vorbis comments, which libsndfile writes. It writes ID3 too, but names no encoding there,
so that letters beyond ASCII come back broken; and of a WAV it reads no text over 2,047 bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from openbark.errors import AudioError

TAG_NAMES = ("title", "comment", "software")
"""The tags we write and read."""

_INFO = MappingProxyType({"title": b"INAM", "comment": b"ICMT", "software": b"ISFT"})
_ID3 = MappingProxyType({"title": b"TIT2", "comment": b"COMM", "software": b"TSSE"})
_ID3_LATIN1, _ID3_UTF16 = b"\0", b"\1"


def check_tags(metadata: Mapping[str, str] | None) -> dict[str, str]:
    """`metadata` as tags. Raises AudioError for a name that is not in TAG_NAMES."""
    tags = dict(metadata or {})
    for name in tags:
        if name not in TAG_NAMES:
            raise AudioError(f"unknown metadata field {name!r}; allowed: {', '.join(TAG_NAMES)}")
    return {name: text.replace("\0", " ") for name, text in tags.items()}


def riff_chunk(name: bytes, content: bytes) -> bytes:
    """One chunk of a RIFF file: name, size, content, padding to an even length."""
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def wav_info(tags: Mapping[str, str]) -> bytes:
    """The LIST/INFO chunk of a WAV file (RIFF 1.0, 1991), text in UTF-8; nothing for no tags."""
    if not tags:
        return b""
    fields = (riff_chunk(_INFO[name], text.encode() + b"\0") for name, text in tags.items())
    return riff_chunk(b"LIST", b"INFO" + b"".join(fields))


def id3_tag(tags: Mapping[str, str]) -> bytes:
    """An ID3v2.3 tag to put before an MP3 stream (id3.org, "ID3 tag version 2.3.0"); nothing for no tags."""
    if not tags:
        return b""
    frames = b""
    for name, text in tags.items():
        try:
            encoding, mark, data = _ID3_LATIN1, b"", text.encode("latin-1")
        except UnicodeEncodeError:
            encoding, mark, data = _ID3_UTF16, b"\xff\xfe", text.encode("utf-16-le")
        # A comment has a language and, before the text, a description: unknown, and empty.
        end = b"\0\0" if mark else b"\0"
        prefix = b"XXX" + mark + end if name == "comment" else b""
        content = encoding + prefix + mark + data
        frames += _ID3[name] + struct.pack(">IH", len(content), 0) + content
    size = len(frames)
    seven_bits = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\3\0\0" + seven_bits + frames


def read_tags(path: Path) -> dict[str, str]:
    """Tags of an audio file, those of TAG_NAMES that it has. Raises AudioError when it cannot be read."""
    import soundfile

    if not path.is_file():
        raise AudioError(f"no audio file at {path}")
    try:
        with path.open("rb") as stream:
            if stream.read(4) == b"RIFF":
                return _read_wav_info(stream)
        with soundfile.SoundFile(path) as audio:
            found = {name: str(getattr(audio, name)) for name in TAG_NAMES}
    except (soundfile.SoundFileError, RuntimeError, OSError) as error:
        raise AudioError(f"{path} cannot be read as audio ({error})") from error
    return {name: text for name, text in found.items() if text}


def _read_wav_info(stream: BinaryIO) -> dict[str, str]:
    """Tags of a WAV from after "RIFF"; chunks after the samples count too."""
    stream.seek(12)
    found: dict[str, str] = {}
    while len(header := stream.read(8)) == 8:
        name, size = header[:4], struct.unpack("<I", header[4:])[0]
        if name == b"LIST":
            found.update(_info_fields(stream.read(size)))
            stream.seek(size % 2, 1)
        else:
            stream.seek(size + size % 2, 1)
    return found


def _info_fields(content: bytes) -> dict[str, str]:
    names = {code: name for name, code in _INFO.items()}
    found: dict[str, str] = {}
    position = 4 if content[:4] == b"INFO" else len(content)
    while position + 8 <= len(content):
        code = content[position : position + 4]
        (size,) = struct.unpack("<I", content[position + 4 : position + 8])
        if code in names:
            text = content[position + 8 : position + 8 + size]
            found[names[code]] = text.rstrip(b"\0").decode("utf-8", "replace")
        position += 8 + size + size % 2
    return found

"""Voice folders as Coqui TTS keeps them: a sub-folder for each voice (C20), or a file for each (C21).

    bark_voices/ljspeech/speaker.npz     0.22: beside the recording it was made from
    bark_voices/My_Voice.npz             0.27: named after the slug of "My Voice"

Only lists and finds; the arrays are read by `openbark.voices.npz`. Knows no model and clones nothing.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from pathlib import Path

from openbark.errors import VoiceError
from openbark.voices.voice import Voice

__all__ = ["find_coqui_voice", "list_coqui_voices", "slug"]

_NPZ = ".npz"
_PICKLE = ".pth"
_AUDIO = (".wav", ".mp3", ".flac", ".ogg")
_NOT_WORD = re.compile(r"[^\w\s.-]")
_SPACES = re.compile(r"\s+")


def slug(name: str) -> str:
    """The file name that Coqui 0.27 makes of a speaker: "My Voice" is My_Voice (C21)."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return _SPACES.sub("_", _NOT_WORD.sub("", plain).strip())


def list_coqui_voices(folder: Path) -> list[str]:
    """Names of the voices in a Coqui folder, sorted; voices that still need cloning included.

    Raises VoiceError when there is no such folder.
    """
    return sorted(_index(folder))


def find_coqui_voice(folder: Path, speaker: str) -> Voice:
    """The voice `speaker` of a Coqui folder, by its name or by the slug of it.

    Raises VoiceError for an unknown name, for a sub-folder with no file or several to choose from, and
    for voices that exist only as a recording or as a pickle.
    """
    index = _index(folder)
    place = index.get(speaker) or index.get(slug(speaker))
    if place is None:
        near = difflib.get_close_matches(speaker, index, n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        has = ", ".join(sorted(index)[:12]) or "no voices"
        raise VoiceError(f"unknown voice {speaker!r} in {folder}{hint} (it has {has})")
    return Voice.load(_voice_file(place, speaker), speaker)


def _index(folder: Path) -> dict[str, Path]:
    """Names to what stands for them: a sub-folder, or a file. Names are compared, never made into paths."""
    if not folder.is_dir():
        raise VoiceError(f"no voice folder at {folder}; make it, with one sub-folder per voice")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            found[path.name] = path
        elif path.suffix in (_NPZ, _PICKLE):
            previous = found.get(path.stem)
            if previous is None or (previous.suffix == _PICKLE and path.suffix == _NPZ):
                found[path.stem] = path
    return found


def _voice_file(place: Path, speaker: str) -> Path:
    if place.is_file():
        if place.suffix == _PICKLE:
            raise _pickled(place)
        return place
    files = [path for path in sorted(place.iterdir()) if path.is_file()]
    arrays = [path for path in files if path.suffix == _NPZ]
    if len(arrays) > 1:
        raise VoiceError(
            f"{place} holds {len(arrays)} voice files ({', '.join(path.name for path in arrays)}); "
            f"keep one of them for the voice {speaker!r}"
        )
    if arrays:
        return arrays[0]
    pickles = [path for path in files if path.suffix == _PICKLE]
    if pickles:
        raise _pickled(pickles[0])
    recordings = [path for path in files if path.suffix.lower() in _AUDIO]
    if recordings:
        raise VoiceError(
            f"the voice {speaker!r} has to be cloned from {recordings[0]}, which this version does not "
            f"do; put an .npz voice into {place}"
        )
    raise VoiceError(f"{place} holds neither a voice (.npz) nor a recording")


def _pickled(path: Path) -> VoiceError:
    return VoiceError(
        f"{path} is a pickle, which could run code when read; this version does not open it, "
        "so save the voice as an .npz of semantic_prompt, coarse_prompt and fine_prompt"
    )

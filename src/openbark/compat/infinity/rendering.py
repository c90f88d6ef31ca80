"""Voices made to sound, and made anew from their own tokens (docs/parity.md I5): samples, variants, surgery.

A voice is rendered from one of its three arrays; the stages after that one compute the rest again. Knows no
text.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openbark.api import Bark
from openbark.audio import write_audio
from openbark.compat.infinity.clip_files import free_path, output_folder
from openbark.compat.infinity.loading import loaded_bark
from openbark.compat.infinity.options import load_all_defaults
from openbark.compat.infinity.seeds import SeedSource, set_seed
from openbark.compat.infinity.segments import regrown
from openbark.config import SemanticRules
from openbark.errors import ParamError, VoiceError
from openbark.params import SUNO_PARAMS, GenerationParams, SamplingParams, check_seed
from openbark.voices.library import VoiceLibrary
from openbark.voices.voice import Voice

STARTS: Mapping[str, str] = MappingProxyType(
    {
        "fine_prompt": "",
        "coarse_prompt": "_S",
        "semantic_prompt": "_W",
        "coarse_prompt_first_two_quantizers_decoded": "_C",
    }
)
"""What a sample can start from, and what its file's name ends in."""

_DECODED = "coarse_prompt_first_two_quantizers_decoded"
_COARSE_TEMPERATURES = (0.3, 0.9)
_FINE_TEMPERATURES = (0.3, 0.7)
_LEAST_CUT = 128
_SUPERPACK = "superpacks are pickled Python objects, which could run code when read"


def render_npz_samples(
    npz_directory: str | os.PathLike[str] | None = None,
    start_from: str | None = None,
    double_up_history: bool = False,
    save_npz: bool = False,
    compression_mode: bool = False,
    gen_minor_variants: int | None = None,
    *,
    bark: Bark | None = None,
    output_dir: str | os.PathLike[str] | None = None,
    output_format: str = "wav",
    seed: int | None = None,
) -> list[Path]:
    """An audio file for every voice of a folder (None: the model's own); the files written.

    start_from: the array that is kept. "fine_prompt" (default) decodes; "coarse_prompt" and "semantic_prompt"
    compute what follows again. ("pure_semantic" crashed upstream: it has no words to speak.)
    double_up_history: what is computed continues from the voice itself. save_npz: the voice that was computed
    beside its audio. gen_minor_variants: so many of each voice, from its semantic tokens, at temperatures
    drawn from `seed`, saved as voices too. output_dir: None writes beside the voices.
    Raises ParamError, VoiceError, AudioError; compression_mode is a ParamError, its files are pickles.
    """
    if compression_mode:
        raise ParamError(f"compression_mode is refused: {_SUPERPACK}")
    if start_from is not None and start_from not in STARTS:
        raise ParamError(f"start_from is {start_from!r}; allowed: {', '.join(STARTS)}")
    if gen_minor_variants is not None and gen_minor_variants < 1:
        raise ParamError(f"gen_minor_variants is {gen_minor_variants}; allowed: from 1, or None")
    speaker = bark or loaded_bark(load_all_defaults())
    library = speaker.voices if npz_directory is None else _folder(npz_directory)
    seeds = _seeds(seed)
    params = speaker.default_params.resolve(SUNO_PARAMS)
    start = start_from or "fine_prompt"
    written: list[Path] = []
    for name in library:
        voice = library.get(name)
        voice.validate(speaker.config)
        folder = (
            Path(output_dir).expanduser() if output_dir is not None else library.path(name).parent
        )
        leaf = name if output_dir is not None else name.rpartition("/")[2]
        history = voice if double_up_history else None
        if gen_minor_variants is None:
            made = regrown(speaker, voice, start, history, seeds.seed, params)
            keep = save_npz and start not in ("fine_prompt", _DECODED)
            stem = folder / f"{leaf}{STARTS[start]}"
            written.append(_write(speaker, made, start, stem, output_format, keep))
            continue
        for number, drawn in enumerate(_variants(gen_minor_variants, seeds.seed), start=1):
            seed_of_one = seeds.of_segment(number)
            made = regrown(speaker, voice, "semantic_prompt", history, seed_of_one, drawn)
            stem = folder / f"{leaf}_var_{number}"
            written.append(_write(speaker, made, "semantic_prompt", stem, output_format, True))
    return written


def doctor_random_speaker_surgery(
    npz_filepath: str | os.PathLike[str],
    gen_minor_variants: int = 5,
    *,
    bark: Bark | None = None,
    output_dir: str | os.PathLike[str] | None = None,
    output_format: str = "wav",
    seed: int | None = None,
) -> list[Path]:
    """Cut a voice's semantic tokens in two, at so many places, and compute the rest of both halves again at
    temperatures drawn from `seed`. Each half is a voice with its audio, beside the given file or in
    `output_dir`; the audio files are returned.

    Raises VoiceError for a file that is not a voice or too short to be cut so, ParamError, AudioError.
    """
    if gen_minor_variants < 1:
        raise ParamError(f"gen_minor_variants is {gen_minor_variants}; allowed: from 1")
    speaker = bark or loaded_bark(load_all_defaults())
    source = Path(npz_filepath).expanduser()
    voice = Voice.load(source)
    voice.validate(speaker.config)
    # Upstream cuts 128 tokens from either end at the nearest; a shorter voice is cut in its middle half.
    least = min(_LEAST_CUT, len(voice.semantic) // 4)
    seeds = _seeds(seed)
    folder = Path(output_dir).expanduser() if output_dir is not None else source.parent
    places = np.linspace(least, len(voice.semantic) - least, gen_minor_variants).astype(int)
    params = _variants(2 * gen_minor_variants, seeds.seed)
    written: list[Path] = []
    for number, place in enumerate(places.tolist(), start=1):
        for side, half in (("a", voice.semantic[:place]), ("b", voice.semantic[place:])):
            kept = replace(voice, semantic=half)
            seed_of_one = seeds.of_segment(len(written) + 1)
            made = regrown(speaker, kept, "semantic_prompt", None, seed_of_one, next(params))
            stem = folder / f"{source.stem}_var_{number}{side}"
            written.append(_write(speaker, made, "semantic_prompt", stem, output_format, True))
    return written


def play_superpack_track(superpack_filepath: Any = None, one_random: bool = True) -> None:
    """Raises VoiceError: superpacks are pickles, which are not read here."""
    raise VoiceError(f"{superpack_filepath} is not read: {_SUPERPACK}; use voices saved as .npz")


def resize_semantic_history(
    semantic_history: NDArray[np.integer[Any]], weight: float, max_len: int = 256
) -> NDArray[np.int64]:
    """The last `weight * max_len` semantic tokens [T], filled up on the right with the padding token."""
    if weight < 0 or max_len < 0:
        raise ParamError(f"weight is {weight} and max_len {max_len}; allowed: from 0")
    length = int(max_len * weight)
    kept = np.asarray(semantic_history, dtype=np.int64)[max(0, len(semantic_history) - length) :]
    padding = np.full(length - len(kept), SemanticRules().semantic_pad_token, dtype=np.int64)
    return np.concatenate([kept, padding])


def _seeds(seed: int | None) -> SeedSource:
    return SeedSource(check_seed(None) if seed is None else set_seed(seed).seed, 1)


def _folder(npz_directory: str | os.PathLike[str]) -> VoiceLibrary:
    if not Path(npz_directory).expanduser().is_dir():
        raise VoiceError(f"no folder {npz_directory}; give one that holds .npz files")
    return VoiceLibrary([Path(npz_directory).expanduser()])


def _variants(count: int, seed: int) -> Iterator[GenerationParams]:
    """Settings of so many variants, drawn from a seed; no global state is touched."""
    generator = random.Random(seed)
    for _ in range(count):
        coarse = SamplingParams(temperature=generator.uniform(*_COARSE_TEMPERATURES))
        fine = SamplingParams(temperature=generator.uniform(*_FINE_TEMPERATURES))
        yield GenerationParams(semantic=SamplingParams(), coarse=coarse, fine=fine)


def _write(bark: Bark, voice: Voice, start: str, stem: Path, kind: str, keep: bool) -> Path:
    """Write the sound of a voice to a new file, and the voice beside it if it is to be kept."""
    codes = voice.coarse if start == _DECODED else voice.fine
    target = free_path(output_folder(stem.parent), stem.name, kind)
    # A voice is read-only, and the codec may want to own what it reads.
    waveform = bark.backend.codec_decode(codes.copy())
    write_audio(target, waveform, bark.sample_rate, kind)
    if keep:
        voice.save(target.with_name(f"{target.name}.npz"))
    return target

"""Makes a clip again from what its file, or the JSON beside it, says of it. Knows no command line.

A file may come from anywhere, so nothing in it is trusted: it names no path, fetches nothing, and asks for no more
work than MAX_LETTERS, unless the caller says otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from openbark.api import Bark
from openbark.assets import EMBEDDED_NAME
from openbark.audio import Edits, read_tags
from openbark.checkpoints.hub.download import cached, is_hub_id
from openbark.errors import AudioError, VoiceError
from openbark.recipe_fields import (
    RecipeFieldError,
    read_edits,
    read_long_form,
    read_origin,
    read_params,
    read_script,
    read_seed,
    read_text,
)
from openbark.result import Clip, ModelOrigin
from openbark.speech.job import plan_job
from openbark.speech.options import SpeechOptions
from openbark.text.reader import TextReader
from openbark.types import Progress
from openbark.voices.voice import Voice, VoiceLike
from openbark.watermark import KEY_VARIABLE, mark_name, watermark_key

__all__ = ["MAX_LETTERS", "Recipe", "load_model", "make_again", "model_difference", "read_recipe"]

MAX_LETTERS = 50_000
"""Longest text that is spoken again because a file says so: about 50 minutes of speech."""

_MAX_SIDECAR_BYTES = 64 * 2**20
_SIDECAR = ".json"


@dataclass(frozen=True)
class Recipe:
    """What `Clip.provenance` wrote, read back and checked.

    source: the file it was read from. model: its name; origin: which one, and how it was computed. speech: how the
    text was spoken, voices by their names.
    """

    source: Path
    generator: str
    model: str
    origin: ModelOrigin
    text: str
    voice_digest: str | None
    speech: SpeechOptions
    edits: Edits
    watermark: str | None = None


def read_recipe(path: Path) -> Recipe:
    """The recipe in an audio file's tags, or in the JSON file that `Clip.save(sidecar=True)` writes.

    Raises AudioError when the file cannot be read, carries no recipe of ours, or one with a field at fault.
    """
    content = _content(path)
    try:
        return _parsed(path, content)
    except RecipeFieldError as error:
        raise AudioError(
            f"{path} carries a recipe that this version cannot read ({error}); it was written by "
            f"{content.get('generator', 'something else')}"
        ) from error


def load_model(
    recipe: Recipe,
    model: str | None = None,
    threads: int | None = None,
    trusted: bool = False,
) -> Bark:
    """The model of a recipe, or the one at `model`, computed as it was then.

    Without `model` it must be the embedded one or one in the hub's cache; `trusted` also fetches it from the hub.
    Raises AudioError where it is neither, or the recipe says only that it was a folder; CheckpointError or
    DeviceError when it cannot be loaded.
    """
    origin = recipe.origin
    path = model if model is not None else origin.source
    if path is None:
        raise AudioError(
            f"{recipe.source} was made by {recipe.model} (fingerprint {origin.fingerprint}) from a folder; "
            "give the folder with --model"
        )
    if model is None and path != EMBEDDED_NAME:
        if not is_hub_id(path) or Path(path).exists():
            raise AudioError(
                f"{recipe.source} names the model {path!r}, which is not a name on the hub; a file's own path is "
                "not followed: give the folder with --model"
            )
        if not trusted and cached(path) is None:
            raise AudioError(
                f"{recipe.source} names the model {path!r}, which is not on this machine; fetch it first "
                f"(openbark models download {path}), or say --yes to fetch it now"
            )
    return Bark.load(
        path, origin.device, origin.dtype, threads, origin.backend, origin.coarse_window
    )


def model_difference(recipe: Recipe, bark: Bark) -> str | None:
    """Why `bark` may not make the same audio, in one line; None for the same model, computed the same way."""
    then, now = recipe.origin, bark.origin
    if then.fingerprint != now.fingerprint:
        return (
            f"another model: {recipe.source} was made by {recipe.model} with the fingerprint "
            f"{then.fingerprint}, this is {bark.config.name} with {now.fingerprint}"
        )
    for name in ("backend", "device", "dtype", "coarse_window"):
        if getattr(then, name) != getattr(now, name):
            return f"{name} was {getattr(then, name)!r} then and is {getattr(now, name)!r} now"
    return None


def make_again(
    recipe: Recipe,
    bark: Bark,
    voice: VoiceLike | None = None,
    progress: Progress | None = None,
    trusted: bool = False,
) -> Clip:
    """The clip of a recipe. voice: where its voice is, if not under its name. progress: see `engine.request`.
    trusted: also a text of more than MAX_LETTERS.

    On the model it was made with, equal samples. Raises VoiceError when the voice is unknown, or holds other
    tokens than then; AudioError for a text that is too long.
    """
    if len(recipe.text) > MAX_LETTERS and not trusted:
        raise AudioError(
            f"{recipe.source} says that its text has {len(recipe.text)} letters, and more than {MAX_LETTERS} are "
            "not spoken because a file says so; say --yes to do it"
        )
    if recipe.watermark not in (None, name := mark_name(watermark_key())):
        raise AudioError(
            f"{recipe.source} has the watermark {recipe.watermark!r}, and the key here makes {name!r}; set "
            f"{KEY_VARIABLE} to the key of then"
        )
    model = _NamedVoicesOnly(bark, recipe.source)
    named = recipe.speech.voice
    used = bark.find_voice(voice) if voice is not None else model.find_voice(named)
    digest = used.digest if used else None
    if digest != recipe.voice_digest:
        raise VoiceError(
            f"{recipe.source} was made with the voice {named!r} ({recipe.voice_digest}), the one here "
            f"has other tokens ({digest}); give its file with --voice"
        )
    job = plan_job(model, recipe.text, replace(recipe.speech, voice=used, progress=progress))
    job.log_left_out()
    clip = job.clip(bark.engine).edited_by(recipe.edits)
    return clip if recipe.watermark is None else clip.watermarked()


class _NamedVoicesOnly:
    """A model whose voices are found by name: a path that a file names is not opened."""

    def __init__(self, bark: Bark, source: Path) -> None:
        self._bark = bark
        self._source = source
        self.default_params = bark.default_params
        self.origin = bark.origin

    @property
    def reader(self) -> TextReader:
        return self._bark.reader

    def find_voice(self, voice: VoiceLike | None) -> Voice | None:
        if voice is None or isinstance(voice, Voice):
            return self._bark.find_voice(voice)
        if voice not in self._bark.voices:
            raise VoiceError(
                f"{self._source} was made with the voice {voice!r}, which is not known here by that name; give its "
                "file with --voice, or make it known: openbark voices import FILE"
            )
        return self._bark.find_voice(voice)


def _content(path: Path) -> Mapping[str, Any]:
    is_sidecar = path.suffix.lower() == _SIDECAR
    text = _sidecar(path) if is_sidecar else read_tags(path).get("comment", "")
    try:
        content = json.loads(text) if text else None
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or not str(content.get("generator", "")).startswith(
        "openbark "
    ):
        raise AudioError(
            f"{path} carries no recipe of openbark's; audio that `openbark say` wrote does, but for raw pcm, "
            "whose recipe is in the JSON of --sidecar"
        )
    if content.get("text") is None:
        raise AudioError(
            f"{path} says that its text was too long for its tags; use the JSON of --sidecar, or another format"
        )
    return content


def _sidecar(path: Path) -> str:
    try:
        if not path.is_file():
            raise AudioError(f"no file at {path}")
        if path.stat().st_size > _MAX_SIDECAR_BYTES:
            raise AudioError(f"{path} is larger than {_MAX_SIDECAR_BYTES} bytes; no recipe is")
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        if isinstance(error, AudioError):
            raise
        raise AudioError(f"cannot read {path}: {error}") from error


def _parsed(path: Path, content: Mapping[str, Any]) -> Recipe:
    is_plain = content.get("input_format") is None
    return Recipe(
        source=path,
        generator=read_text(content, "generator"),
        model=read_text(content, "model"),
        origin=read_origin(content),
        text=read_text(content, "text"),
        voice_digest=read_text(content, "voice_digest", optional=True),
        speech=SpeechOptions(
            voice=read_text(content, "voice", optional=True),
            seed=read_seed(content),
            params=read_params(content),
            long_form=read_long_form(content),
            script=read_script(content),
            input_format=None if is_plain else read_text(content, "input_format"),
        ),
        edits=read_edits(content),
        watermark=read_text(content, "watermark", optional=True)
        if "watermark" in content
        else None,
    )

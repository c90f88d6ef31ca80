"""Makes a clip again from what its file, or the JSON beside it, says of it. Knows no command line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from openbark.api import Bark, VoiceLike
from openbark.audio import Edits, read_tags
from openbark.engine.longform_options import LongFormOptions
from openbark.engine.request import Progress
from openbark.errors import AudioError, ParamError, VoiceError
from openbark.narration import options_from
from openbark.params import GenerationParams, SamplingParams
from openbark.result import Clip, ModelOrigin

__all__ = ["Recipe", "load_model", "make_again", "model_difference", "read_recipe"]

_SIDECAR = ".json"


@dataclass(frozen=True)
class Recipe:
    """What `Clip.provenance` wrote, read back and checked.

    source: the file it was read from. model: its name; origin: which one, and how it was computed. options: of
    a text spoken in pieces; script: how its text was read, where that was a script; input_format: where one was asked for.
    """

    source: Path
    generator: str
    model: str
    origin: ModelOrigin
    text: str
    voice: str | None
    voice_digest: str | None
    seed: int
    params: GenerationParams
    edits: Edits
    options: LongFormOptions | None = None
    script: Mapping[str, Any] | None = None
    input_format: str | None = None


def read_recipe(path: Path) -> Recipe:
    """The recipe in an audio file's tags, or in the JSON file that `Clip.save(sidecar=True)` writes.

    Raises AudioError when the file cannot be read, carries no recipe of ours, or one without its text.
    """
    content = _content(path)
    try:
        return _parsed(path, content)
    except (KeyError, TypeError, ParamError) as error:
        raise AudioError(
            f"{path} carries a recipe that this version cannot read ({error}); it was written by "
            f"{content.get('generator', 'something else')}"
        ) from error


def load_model(recipe: Recipe, model: str | None = None, threads: int | None = None) -> Bark:
    """The model of a recipe, or the one at `model`, computed as it was then.

    Raises CheckpointError or DeviceError when it is not here, AudioError when the recipe says only that it was a
    folder of the user's.
    """
    origin = recipe.origin
    path = model if model is not None else origin.source
    if path is None:
        raise AudioError(
            f"{recipe.source} was made by {recipe.model} (fingerprint {origin.fingerprint}) from a folder; "
            "give the folder with --model"
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
    recipe: Recipe, bark: Bark, voice: VoiceLike | None = None, progress: Progress | None = None
) -> Clip:
    """The clip of a recipe. voice: where its voice is, if not under its name. progress: see `engine.request`.

    On the model it was made with, equal samples. Raises VoiceError when the voice is unknown, or holds other
    tokens than then.
    """
    used = bark.find_voice(voice if voice is not None else recipe.voice)
    digest = used.digest if used else None
    if digest != recipe.voice_digest:
        raise VoiceError(
            f"{recipe.source} was made with the voice {recipe.voice!r} ({recipe.voice_digest}), the one here "
            f"has other tokens ({digest}); give its file with --voice"
        )
    if recipe.script is not None:
        clip = bark.generate_script(
            recipe.text,
            used,
            recipe.script["speakers"],
            recipe.seed,
            recipe.params,
            recipe.script["format"],
            recipe.script["markup"],
            progress,
            options=recipe.options,
        )
    else:
        clip = bark.generate(
            recipe.text,
            used,
            recipe.seed,
            recipe.params,
            progress,
            options=recipe.options,
            input_format=recipe.input_format,
        )
    return clip.edited_by(recipe.edits)


def _content(path: Path) -> Mapping[str, Any]:
    if path.suffix.lower() == _SIDECAR:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise AudioError(f"cannot read {path}: {error}") from error
    else:
        text = read_tags(path).get("comment", "")
    try:
        content = json.loads(text) if text else None
    except ValueError:
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


def _parsed(path: Path, content: Mapping[str, Any]) -> Recipe:
    made_with = dict(content["made_with"])
    window = made_with.get("coarse_window")
    if isinstance(window, list):
        made_with["coarse_window"] = tuple(window)
    plain = {field.name for field in fields(Recipe)} - {
        "source",
        "origin",
        "params",
        "edits",
        "options",
        "script",
        "input_format",
    }
    long_form = content.get("long_form")
    return Recipe(
        source=path,
        origin=ModelOrigin(**made_with),
        params=_params(content["params"]),
        edits=Edits(**content.get("edits", {})),
        options=options_from(long_form) if long_form else None,
        script=content.get("script"),
        input_format=content.get("input_format"),
        **{name: content[name] for name in plain},
    )


def _params(given: Mapping[str, Any]) -> GenerationParams:
    return GenerationParams(
        semantic=SamplingParams(**given["semantic"]),
        coarse=SamplingParams(**given["coarse"]),
        fine=SamplingParams(**given["fine"]),
        max_semantic_tokens=given["max_semantic_tokens"],
        max_semantic_seconds=given["max_semantic_seconds"],
        allow_early_stop=given["allow_early_stop"],
    )

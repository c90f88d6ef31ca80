"""Reads the fields of a recipe, each by its kind: what a file says of itself may come from anywhere.

Every fault is a RecipeFieldError that names the field. Knows no model and no files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from openbark.audio import Edits
from openbark.errors import ParamError
from openbark.longform.options import LongFormOptions, Pauses
from openbark.params import GenerationParams, SamplingParams, check_seed
from openbark.result import ModelOrigin
from openbark.speech.options import ScriptOptions

_Value = TypeVar("_Value")

_SHOWN = 60
_MAX_REASON = 200


class RecipeFieldError(ValueError):
    """A field that is missing, or of the wrong kind."""


def read_object(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A field that is an object of JSON."""
    return _kind(content, name, dict, "an object")


def read_text(content: Mapping[str, Any], name: str, *, optional: bool = False) -> Any:
    """A field that is a text; None for one that is null where it is `optional`."""
    if optional and _field(content, name) is None:
        return None
    return _kind(content, name, str, "a text")


def read_seed(content: Mapping[str, Any]) -> int:
    """The seed."""
    if _field(content, "seed") is None:
        raise RecipeFieldError("seed is null; it must be a whole number")
    return _checked("seed", lambda: check_seed(content["seed"]))


def read_origin(content: Mapping[str, Any]) -> ModelOrigin:
    """Which model it was."""
    given = read_object(content, "made_with")
    names = ("source", "fingerprint", "backend", "device", "dtype")
    _known(given, (*names, "coarse_window"), "made_with")
    window = given.get("coarse_window")
    if isinstance(window, list) and len(window) == 2:
        window = (window[0], window[1])
    elif window is not None and not isinstance(window, str):
        raise RecipeFieldError(
            f"made_with.coarse_window is {_short(window)}; it must be a text or a pair"
        )
    texts = {name: read_text(given, name, optional=True) for name in names if name in given}
    return ModelOrigin(**texts, coarse_window=window)


def read_params(content: Mapping[str, Any]) -> GenerationParams:
    """Sampling and length."""
    given = read_object(content, "params")
    stages = {name: _sampling(given, name) for name in ("semantic", "coarse", "fine")}
    limits = ("max_semantic_tokens", "max_semantic_seconds", "allow_early_stop")
    _known(given, (*stages, *limits), "params")
    values: dict[str, Any] = {**stages, **{name: _field(given, name) for name in limits}}
    return _checked("params", lambda: GenerationParams(**values))


def read_edits(content: Mapping[str, Any]) -> Edits:
    """Edits of the waveform; none where the field is left out."""
    given = read_object(content, "edits") if "edits" in content else {}
    return _checked("edits", lambda: Edits(**given))


def read_long_form(content: Mapping[str, Any]) -> LongFormOptions | None:
    """How a long text was cut and joined; None for a text spoken whole."""
    if content.get("long_form") is None:
        return None
    given = read_object(content, "long_form")
    pauses = read_object(given, "pauses")
    return _checked("long_form", lambda: LongFormOptions(**{**given, "pauses": Pauses(**pauses)}))


def read_script(content: Mapping[str, Any]) -> ScriptOptions | None:
    """How the text is read as a script, speakers by the names of their voices; None for plain text."""
    if content.get("script") is None:
        return None
    given = read_object(content, "script")
    speakers = read_object(given, "speakers")
    for name in speakers:
        read_text(speakers, name, optional=True)
    return ScriptOptions(read_text(given, "format"), speakers, read_text(given, "markup"))


def _sampling(given: Mapping[str, Any], stage: str) -> SamplingParams:
    settings = read_object(given, stage)
    return _checked(stage, lambda: SamplingParams(**settings))


def _checked(name: str, make: Callable[[], _Value]) -> _Value:
    try:
        return make()
    except (ParamError, TypeError, ValueError, OverflowError) as error:
        raise RecipeFieldError(f"{name}: {str(error)[:_MAX_REASON]}") from error


def _kind(content: Mapping[str, Any], name: str, kind: type[_Value], words: str) -> _Value:
    value = _field(content, name)
    if not isinstance(value, kind):
        raise RecipeFieldError(f"{name} is {_short(value)}; it must be {words}")
    return value


def _field(content: Mapping[str, Any], name: str) -> Any:
    if name not in content:
        raise RecipeFieldError(f"{name} is missing")
    return content[name]


def _known(content: Mapping[str, Any], names: Sequence[str], of: str) -> None:
    for name in content:
        if name not in names:
            raise RecipeFieldError(f"{of} has an unknown field {_short(name)}")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."

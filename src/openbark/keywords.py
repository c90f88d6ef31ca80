"""A keyword that a method does not have is answered with the one that was meant.

Python's own error is a bare TypeError that ends at the name. Standard library only.
"""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable
from typing import ParamSpec, TypeVar

from openbark.errors import ParamError

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

SAMPLING_NAMES = ("temperature", "top_k", "top_p", "min_eos_p")
"""Settings of one stage, which many packages take as keywords of the call."""

_LENGTH_NAMES = ("max_semantic_tokens", "max_semantic_seconds", "allow_early_stop")

_MEANT = {
    "text_temp": "params=GenerationParams(semantic=SamplingParams(temperature={value}))",
    "waveform_temp": "params=GenerationParams(coarse=SamplingParams(temperature={value}))",
    "history_prompt": "voice={value}",
    "voice_preset": "voice={value}",
    "speaker": "voice={value}",
    "text_prompt": "text={value}",
    "random_seed": "seed={value}",
    "max_length": "params=GenerationParams(max_semantic_tokens={value})",
    "max_new_tokens": "params=GenerationParams(max_semantic_tokens={value})",
    "silent": "progress=True to see a bar; there is none by default",
    "speed": "the clip's own: bark.generate(...).edited(speed={value})",
    "sample_rate": "the clip's own: bark.generate(...).edited(sample_rate={value})",
    "loudness": "the clip's own: bark.generate(...).edited(loudness={value})",
    "trim": "the clip's own: bark.generate(...).edited(trim={value})",
    "model": "openbark.Bark.load({value}).generate(...)",
    "language": "options=LongFormOptions(language={value})",
    "split": "options=LongFormOptions(split={value})",
}
"""Other packages' keywords, and ours of other calls: what is meant here."""


def offers_keywords(method: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """Decorator: an unknown keyword raises ParamError that names the right spelling and all that are allowed."""
    signature = inspect.signature(method)
    allowed = [name for name in signature.parameters if name not in ("self", "cls")]

    @functools.wraps(method)
    def checked(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        for name, value in kwargs.items():
            if name not in signature.parameters:
                raise ParamError(_unknown(method.__name__, name, value, allowed))
        return method(*args, **kwargs)

    return checked


def _unknown(method: str, name: str, value: object, allowed: Iterable[str]) -> str:
    names = tuple(allowed)
    meant = _meant(name, value, names)
    offer = f"; use {meant}" if meant else ""
    return f"{method} has no argument {name!r}{offer}; allowed: {', '.join(names)}"


def _meant(name: str, value: object, allowed: tuple[str, ...]) -> str | None:
    shown = repr(value) if isinstance(value, (str, bool, int, float)) else "..."
    if "params" in allowed:
        for stage in ("semantic", "coarse", "fine"):
            setting = name.removeprefix(f"{stage}_")
            if setting != name and setting in SAMPLING_NAMES:
                return f"params=GenerationParams({stage}=SamplingParams({setting}={shown}))"
        if name in SAMPLING_NAMES:
            return f"params=GenerationParams(semantic=SamplingParams({name}={shown}))"
        if name in _LENGTH_NAMES:
            return f"params=GenerationParams({name}={shown})"
    if name in _MEANT and ("voice" in allowed or name in allowed):
        return _MEANT[name].format(value=shown)
    near = difflib.get_close_matches(name, allowed, n=1)
    return near[0] if near else None

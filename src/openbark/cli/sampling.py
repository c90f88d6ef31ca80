"""The sampling options of `openbark say`, from one table, and how they change a model's defaults.

Only what the user gave is collected; the rest stays the model's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import click

from openbark.errors import ParamError
from openbark.params import GenerationParams, SamplingParams

__all__ = ["SAMPLING_OPTIONS", "SamplingOption", "given_params", "sampling_options"]

_Command = TypeVar("_Command", bound=Callable[..., Any])

_META_KEY = "openbark.sampling"


@dataclass(frozen=True, slots=True)
class SamplingOption:
    """One option: which field of which stage it sets."""

    stage: str
    field: str
    type: click.ParamType[Any]
    help: str

    @property
    def flag(self) -> str:
        """The option as typed."""
        stage = "" if self.field == "min_eos_p" else f"{self.stage}-"
        return f"--{stage}{self.field.replace('_', '-')}"


_TEMPERATURE = "0 is greedy; higher is more varied."
_TOP_K = "Keep the K most likely tokens."
_TOP_P = "Keep the likeliest tokens up to this probability."

SAMPLING_OPTIONS: tuple[SamplingOption, ...] = (
    SamplingOption("semantic", "temperature", click.FLOAT, _TEMPERATURE),
    SamplingOption("semantic", "top_k", click.INT, _TOP_K),
    SamplingOption("semantic", "top_p", click.FLOAT, _TOP_P),
    SamplingOption("semantic", "min_eos_p", click.FLOAT, "Stop once the end is this likely."),
    SamplingOption("coarse", "temperature", click.FLOAT, _TEMPERATURE),
    SamplingOption("coarse", "top_k", click.INT, _TOP_K),
    SamplingOption("coarse", "top_p", click.FLOAT, _TOP_P),
    SamplingOption("fine", "temperature", click.FLOAT, _TEMPERATURE),
)


def _collector(option: SamplingOption) -> Callable[[click.Context, click.Parameter, Any], None]:
    def collect(ctx: click.Context, _: click.Parameter, value: Any) -> None:
        if value is not None:
            ctx.meta.setdefault(_META_KEY, {})[(option.stage, option.field)] = value

    return collect


def sampling_options(command: _Command) -> _Command:
    """Decorator: adds the options of SAMPLING_OPTIONS; `given_params` reads them."""
    for option in reversed(SAMPLING_OPTIONS):
        command = click.option(
            option.flag,
            type=option.type,
            expose_value=False,
            callback=_collector(option),
            help=option.help,
        )(command)
    return command


def given_params(
    ctx: click.Context, greedy: bool, max_seconds: float | None
) -> Callable[[GenerationParams], GenerationParams]:
    """A function from a model's defaults to the params to use, checked before any model is loaded.

    Raises ParamError naming the stage for a value outside its range.
    """
    given: dict[tuple[str, str], Any] = ctx.meta.get(_META_KEY, {})
    if greedy and given:
        flags = [
            option.flag for option in SAMPLING_OPTIONS if (option.stage, option.field) in given
        ]
        raise click.UsageError(f"--greedy leaves nothing to draw; drop it, or {', '.join(flags)}")

    def apply(defaults: GenerationParams) -> GenerationParams:
        if greedy:
            return GenerationParams.greedy(max_semantic_seconds=max_seconds)
        return GenerationParams(
            semantic=_changed("semantic", defaults.semantic, given),
            coarse=_changed("coarse", defaults.coarse, given),
            fine=_changed("fine", defaults.fine, given),
            max_semantic_seconds=max_seconds,
        )

    apply(GenerationParams())
    return apply


def _changed(
    stage: str, default: SamplingParams | None, given: dict[tuple[str, str], Any]
) -> SamplingParams | None:
    changes = {field: value for (of_stage, field), value in given.items() if of_stage == stage}
    if not changes:
        return default
    try:
        return replace(default or SamplingParams(), **changes)
    except ParamError as error:
        raise ParamError(f"{stage} {error}") from error

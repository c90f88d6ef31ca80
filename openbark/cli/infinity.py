"""`openbark infinity`: the command line of Bark Infinity, from the table in `openbark.compat.infinity.options`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from openbark.cli.cores import share_cores
from openbark.cli.progress import ProgressBar
from openbark.compat.infinity.options import OPTIONS, Option, resolve
from openbark.errors import ParamError

if TYPE_CHECKING:
    from openbark.api import Bark
    from openbark.compat.infinity.segments import Segment

__all__ = ["infinity"]

_Command = TypeVar("_Command", bound=Callable[..., Any])
_SMALL_MODEL = "suno/bark-small"
_META_KEY = "openbark.infinity"


def _type(item: Option) -> click.ParamType[Any]:
    if item.choices:
        return click.Choice(item.choices)
    types: dict[type, click.ParamType[Any]] = {
        bool: click.BOOL,
        int: click.INT,
        float: click.FLOAT,
    }
    return types.get(item.kind, click.STRING)


def _help(item: Option) -> str:
    if item.refused:
        return f"Refused: {item.refused}."
    default = "" if item.default is None else f" [default: {item.default}]"
    return f"{item.help}{default}"


def _collect(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
    if value is not None:
        ctx.meta.setdefault(_META_KEY, {})[parameter.name] = value


def _infinity_options(command: _Command) -> _Command:
    for item in reversed(OPTIONS):
        command = click.option(
            f"--{item.name}",
            item.name,
            type=_type(item),
            expose_value=False,
            callback=_collect,
            help=_help(item),
        )(command)
    return command


@click.command()
@_infinity_options
@click.option("--model", help="Checkpoint folder. [default: the embedded model]")
@click.option("--device", help="cpu, cuda, ... [default: cpu]")
@click.option("--threads", type=click.INT, help="CPU threads. [default: all cores]")
@click.pass_context
def infinity(
    ctx: click.Context, model: str | None, device: str | None, threads: int | None
) -> None:
    """Speak texts of any length, with the options of Bark Infinity.

    \b
    openbark infinity --text_prompt "A long story." --history_prompt en_0
    openbark infinity --prompt_file story.txt --stable_mode_interval 0 --output_dir out
    """
    given: dict[str, Any] = ctx.meta.get(_META_KEY, {})
    values = resolve(given)
    logging.getLogger("openbark").setLevel(values["loglevel"])
    chosen_model, chosen_device = _model(model, values), _device(device, given)
    if not (values["list_speakers"] or _renders(values)):
        plan = _plan(given)
        if values["dry_run"] or values["text_splits_only"]:
            click.echo(_described(plan, values))
            return

    share_cores()
    from openbark.api import Bark

    bark = Bark.load(chosen_model, chosen_device, None, threads)
    if values["list_speakers"]:
        for name in bark.voices:
            click.echo(name)
    elif _renders(values):
        _render(bark, values)
    else:
        for _ in range(values["output_iterations"]):
            for prompt, _ in plan:
                _speak(bark, prompt, given)


def _model(model: str | None, values: Mapping[str, Any]) -> str | None:
    """The model that the options name. Raises ParamError when they contradict each other."""
    stages = {values[f"{stage}_use_small"] for stage in ("text", "coarse", "fine")}
    if len(stages) > 1:
        raise ParamError(
            "text_use_small, coarse_use_small and fine_use_small differ; a model is used whole: set all "
            "three or none"
        )
    small = values["use_smaller_models"] or values["USE_SMALL_MODELS"] or stages == {True}
    if small and model is not None:
        raise ParamError(f"--model {model} and the small models are two models; name one")
    return _SMALL_MODEL if small else model


def _device(device: str | None, given: Mapping[str, Any]) -> str | None:
    """The device that the options name. Raises ParamError when they differ."""
    asked = {
        given[f"{stage}_use_gpu"]
        for stage in ("text", "coarse", "fine", "codec")
        if given.get(f"{stage}_use_gpu") is not None
    }
    if len(asked) > 1:
        raise ParamError("the use_gpu options differ; every stage computes on one device")
    if not asked:
        return device
    wanted = "cuda" if asked == {True} else "cpu"
    if device is not None and device != wanted:
        raise ParamError(f"--device {device} contradicts the use_gpu options; give one of them")
    return wanted


def _plan(given: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Prompts and their segments, and a folder to write to: all that can fail before a model is loaded."""
    from openbark.compat.infinity.generation import output_folder, plan_segments, prompts_of

    plan = [(prompt, plan_segments(prompt, given)) for prompt in prompts_of(given)]
    values = resolve(given)
    if not (values["dry_run"] or values["text_splits_only"]):
        output_folder(values)
    return plan


def _described(plan: list[tuple[str, list[str]]], values: Mapping[str, Any]) -> str:
    lines = []
    for number, (_, segments) in enumerate(plan, start=1):
        voice = values["history_prompt"] or "none"
        lines.append(f"prompt {number}: {len(segments)} segments, voice {voice}")
        lines += [f"  {index}. {text}" for index, text in enumerate(segments, start=1)]
    return "\n".join(lines)


def _renders(values: Mapping[str, Any]) -> bool:
    return str(values["render_npz_samples"]).lower() not in ("false", "0", "no")


def _render(bark: Bark, values: Mapping[str, Any]) -> None:
    from openbark.compat.infinity.speakers import render_npz_samples

    where = str(values["render_npz_samples"])
    folder = None if where.lower() in ("true", "1", "yes") else where
    kind = values["output_format"]
    for path in render_npz_samples(folder, bark, Path(values["output_dir"]), kind):
        click.echo(str(path))


def _speak(bark: Bark, prompt: str, given: Mapping[str, Any]) -> None:
    from openbark.compat.infinity.generation import spoken, write_clip

    values = resolve(given)

    def tell(segment: Segment) -> None:
        if values["silent"]:
            return
        if values["extra_stats"]:
            n_semantic, n_frames = len(segment.voice.semantic), segment.voice.n_frames
            click.echo(
                f"{n_semantic} semantic tokens, {n_frames} frames, stopped by {segment.stop_reason}, "
                f"seed {segment.seeds.semantic}: {segment.text}",
                err=True,
            )
        if values["show_generation_times"]:
            click.echo(f"{segment.seconds_spent:.2f} s: {segment.text}", err=True)

    with ProgressBar(enabled=not values["silent"]) as progress:
        segments = spoken(bark, prompt, given, progress, tell)
    written = write_clip(segments, prompt, given, bark.sample_rate)
    click.echo(str(written.audio))

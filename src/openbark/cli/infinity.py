"""`openbark infinity`: the command line of Bark Infinity, from the table in `openbark.compat.infinity.options`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from openbark.cli.process import share_cores
from openbark.compat.infinity.options import OPTIONS, Option, resolve
from openbark.errors import ParamError
from openbark.progress import ProgressBar

if TYPE_CHECKING:
    from openbark.api import Bark
    from openbark.compat.infinity.segments import Segment

_Command = TypeVar("_Command", bound=Callable[..., Any])
_STAGES = ("text", "coarse", "fine", "codec")
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
@click.option("--model", help="Checkpoint folder. [default: the one Suno's scripts find]")
@click.option("--device", help="cpu, cuda, ... [default: as the use_gpu options say]")
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
    _check_choices(model, device, values, given)
    if not (values["list_speakers"] or _renders(values)):
        plan = _plan(given)
        if values["dry_run"] or values["text_splits_only"]:
            click.echo(_described(plan, values))
            return

    share_cores()
    bark = _load(model, device, threads, values)
    if values["list_speakers"]:
        from openbark.compat.infinity.speakers import list_speakers

        for name in list_speakers(bark):
            click.echo(name)
    elif _renders(values):
        _render(bark, values)
    else:
        for _ in range(values["output_iterations"]):
            for prompt, _ in plan:
                _speak(bark, prompt, given)


def _check_choices(
    model: str | None, device: str | None, values: Mapping[str, Any], given: Mapping[str, Any]
) -> None:
    """Raise ParamError for options that name two models or two devices."""
    from openbark.compat.infinity.loading import wants_gpu, wants_small

    if wants_small(values) and model is not None:
        raise ParamError(f"--model {model} and the small models are two models; name one")
    asked = any(given.get(f"{stage}_use_gpu") is not None for stage in _STAGES)
    if device is not None and asked and wants_gpu(values) == (device == "cpu"):
        raise ParamError(f"--device {device} contradicts the use_gpu options; give one of them")
    wants_gpu(values)


def _load(
    model: str | None, device: str | None, threads: int | None, values: Mapping[str, Any]
) -> Bark:
    """The model and the device of our own options, else those that Suno's scripts would find."""
    from openbark.api import Bark
    from openbark.compat.infinity.loading import wants_gpu, wants_small
    from openbark.compat.suno.model_cache import choose_device, find_model

    name = model or find_model(wants_small(values))
    return Bark.load(name, device or choose_device(wants_gpu(values)), "float32", threads)


def _plan(given: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Prompts and their segments, and a folder to write to: all that can fail before a model is loaded."""
    from openbark.compat.infinity.clip_files import output_folder
    from openbark.compat.infinity.generation import plan_segments, prompts_of

    plan = [(prompt, plan_segments(prompt, given)) for prompt in prompts_of(given)]
    values = resolve(given)
    if not (values["dry_run"] or values["text_splits_only"]):
        output_folder(Path(values["output_dir"]))
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
    from openbark.compat.infinity.rendering import render_npz_samples

    where = str(values["render_npz_samples"])
    folder = None if where.lower() in ("true", "1", "yes") else where
    kind = values["output_format"]
    made = render_npz_samples(
        folder, bark=bark, output_dir=values["output_dir"], output_format=kind, seed=values["seed"]
    )
    for path in made:
        click.echo(str(path))


def _speak(bark: Bark, prompt: str, given: Mapping[str, Any]) -> None:
    from openbark.compat.infinity.clip_files import write_clip
    from openbark.compat.infinity.generation import spoken

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

"""`openbark batch`: many texts to audio on disk, resumed after any end. Needs the extra [batch]."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from openbark.errors import MissingExtraError

_RUN = "run"
_QUARANTINE_CODE = 3
_CPU_SECONDS, _GPU_SECONDS = 120.0, 8000.0


class BatchGroup(click.Group):
    """A group whose command `run` needs no name."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `run` in front of arguments that name no command."""
        if args and args[0] not in self.commands and args[0] not in (*ctx.help_option_names,):
            args = [_RUN, *args]
        return super().parse_args(ctx, args)


@click.group(cls=BatchGroup)
def batch() -> None:
    """Speak many texts into one folder.

    \b
    openbark batch jobs.jsonl -o out/
    openbark batch jobs.jsonl -o out/ --resume
    openbark batch status out/
    """


@batch.command()
@click.argument("jobs", nargs=-1, required=True)
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder.")
@click.option("--resume", is_flag=True, help="Continue a batch that ended early.")
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Processes of this machine, or actors of a Ray cluster.",
)
@click.option(
    "--workers", type=click.INT, help="Models side by side. [default: 1; on Ray: all that fit]"
)
@click.option(
    "--layout",
    type=click.Choice(["tar", "files", "parquet", "openai"]),
    default="tar",
    show_default=True,
    help="How the audio is stored: tar (WebDataset), files, parquet, or OpenAI's answer lines.",
)
@click.option(
    "--format",
    type=click.Choice(["opus", "flac", "wav", "mp3"]),
    default="opus",
    show_default=True,
    help="Of lines that name none.",
)
@click.option("--seed", default=0, show_default=True, help="Each line's seed follows from it.")
@click.option(
    "--shard-seconds", type=click.FLOAT, help="Audio of a shard. [default: 120; on cuda 8000]"
)
@click.option("--shard-lines", default=1024, show_default=True, help="Most lines of a shard.")
@click.option("--max-failures", help="Stop after so many failed lines: 20, or 1%.")
@click.option("--price", type=click.FLOAT, help="Of one worker and hour, to report the cost.")
@click.option("--metrics-port", type=click.INT, help="Prometheus' text on this port of 127.0.0.1.")
@click.option("--model", help="Checkpoint folder, or OWNER/NAME. [default: the embedded model]")
@click.option("--device", help="cpu, cuda, ... [default: cpu]")
@click.option(
    "--dtype", default="float32", show_default=True, help="As `openbark say`, but never guessed."
)
@click.option("--backend", help="native or torch. [default: native where it can]")
@click.option(
    "--threads", type=click.INT, help="CPU threads of each worker. [default: a share of the cores]"
)
@click.option("--rows", default=8, show_default=True, help="Lines computed together.")
@click.pass_context
def run(
    ctx: click.Context,
    jobs: tuple[str, ...],
    output: Path,
    resume: bool,
    engine: str,
    workers: int | None,
    layout: str,
    format: str,
    seed: int,
    shard_seconds: float | None,
    shard_lines: int,
    max_failures: str | None,
    price: float | None,
    metrics_port: int | None,
    model: str | None,
    device: str | None,
    dtype: str,
    backend: str | None,
    threads: int | None,
    rows: int,
) -> None:
    """Speak the lines of JOBS (the default command): files, folders or globs of .jsonl, .csv and .parquet.

    A line has an id, a text, and if it likes voice, seed, format and params; lines of OpenAI's batch files are taken
    too. Exit code: 0 all lines were spoken, 3 some failed and are in quarantine-*.jsonl, 1 stopped early.
    """
    _check_installed(("pyarrow",), "batch")
    from openbark.batch.bark_lines import BarkMaker
    from openbark.batch.run import BatchOptions, run_batch
    from openbark.errors import OpenBarkError

    on_gpu = (device or "").startswith("cuda")
    options = BatchOptions(
        layout=layout,
        format=format,
        seed=seed,
        shard_seconds=shard_seconds or (_GPU_SECONDS if on_gpu else _CPU_SECONDS),
        shard_lines=shard_lines,
        n_workers=workers if workers is not None else 1,
        max_failures=max_failures,
        resume=resume,
        price=price,
        metrics_port=metrics_port,
    )
    each = threads or max(1, (os.cpu_count() or 1) // options.n_workers)
    maker = BarkMaker(model, device, dtype, backend, each, rows)
    with _sigterm_as_interrupt():
        try:
            summary = run_batch(
                jobs,
                output,
                options,
                maker,
                maker.fingerprint(),
                _engine(engine, on_gpu, workers),
                _notify,
            )
        except OSError as error:
            raise OpenBarkError(
                f"cannot write {output}: {error.strerror or error}; make room, then continue with --resume"
            ) from error
    _notify(
        f"{summary['spoken']} lines spoken, {summary['quarantined']} quarantined, "
        f"{summary['audio_seconds']:.1f} s of audio -> {output}"
    )
    if summary["quarantined"]:
        ctx.exit(_QUARANTINE_CODE)


@batch.command()
@click.argument("output", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def status(output: Path, as_json: bool) -> None:
    """How far the batch in OUTPUT is, from its files alone."""
    from openbark.batch.report import status as read_status

    found = read_status(output)
    if as_json:
        click.echo(json.dumps(found))
        return
    for name, value in found.items():
        if value is not None:
            click.echo(f"{name.replace('_', ' ')}: {value}")


def _engine(name: str, on_gpu: bool, workers: int | None) -> Any:
    if name == "local":
        from openbark.batch.local import run_local

        return run_local
    _check_installed(("ray",), "ray")
    from openbark.batch.ray_engine import RayEngine

    return RayEngine(n_gpus=1.0 if on_gpu else 0.0, n_workers=workers)


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """SIGTERM ends a batch as Ctrl-C does: the workers end, and nothing half-written stays visible."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _notify(line: str) -> None:
    click.echo(line, err=True)


def _check_installed(modules: tuple[str, ...], extra: str) -> None:
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"this needs {', '.join(missing)}; install it with pip install 'openbark[{extra}]'"
        )

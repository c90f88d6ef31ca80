"""`openbark bench serve`: one model under many requests."""

from __future__ import annotations

import json

import click

_EMBEDDED_SECONDS = 3.0
_SUNO_SECONDS = 10.0
"""Of models of Suno's sizes, as `openbark bench say` times them."""


@click.command("serve")
@click.option(
    "--model",
    default="embedded",
    show_default=True,
    help="embedded, a folder, or shape:small and shape:large (random weights of the published sizes).",
)
@click.option("--clips", default=8, show_default=True, help="Clips made together, and one by one.")
@click.option(
    "--seconds",
    type=click.FLOAT,
    help="Length of a clip, more or less 40 percent. [default: 10; embedded: 3]",
)
@click.option(
    "--voice",
    default="none",
    show_default=True,
    help="none; synthetic, a random history; a voice of the model, or an .npz.",
)
@click.option("--dtype", default="int8", show_default=True, help="Precision of the weights.")
@click.option("--window", default="stock", show_default=True, help="Coarse windows: stock or wide.")
@click.option("--repeat", default=3, show_default=True, help="Rounds; figures are medians.")
@click.option(
    "--load", default=0.7, show_default=True, help="Part of the throughput that listeners ask for."
)
@click.option(
    "--for", "duration", default=20.0, show_default=True, help="Seconds in which listeners arrive."
)
@click.option("--http", is_flag=True, help="Measure a server process over HTTP instead.")
@click.option(
    "--leavers", default=1000, show_default=True, help="With --http: clients that hang up."
)
@click.option("--max-batch", default=16, show_default=True, help="Requests that run at a time.")
@click.option("--threads", type=click.INT, help="Threads. [default: all cores]")
def serve(
    model: str,
    clips: int,
    seconds: float | None,
    voice: str,
    dtype: str,
    window: str,
    repeat: int,
    load: float,
    duration: float,
    http: bool,
    leavers: int,
    max_batch: int,
    threads: int | None,
) -> None:
    """Measure one model under many requests: together against one by one, under a steady load of listeners who
    arrive at random, and under ten times too many. The last line is one JSON document.

    \b
    openbark bench serve
    openbark bench serve --model shape:small --repeat 1
    openbark bench serve --http --load 0.8 --for 60
    """
    if http:
        from openbark.bench.http_load import HttpLoad, http_card, http_report

        measured = http_report(
            HttpLoad(model=model, load=load, seconds=duration, leavers=leavers),
            lambda line: click.echo(line, err=True),
        )
        click.echo(http_card(measured))
        click.echo(json.dumps(measured))
        return
    from openbark.bench.load import Serving
    from openbark.bench.serve import serve_card, serve_report
    from openbark.bench.workload import Workload

    if seconds is None:
        seconds = _EMBEDDED_SECONDS if model == "embedded" else _SUNO_SECONDS
    report = serve_report(
        Workload(model, seconds, voice, window, threads),
        dtype,
        Serving(clips, repeat, load, duration, max_batch),
        lambda line: click.echo(line, err=True),
    )
    click.echo(serve_card(report))
    click.echo(json.dumps(report))

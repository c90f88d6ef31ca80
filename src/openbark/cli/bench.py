"""`openbark bench`: how fast this machine speaks, beside other Barks and beside its own limits."""

from __future__ import annotations

import json

import click

from openbark.cli.bench_serve import serve
from openbark.cli.groups import SuggestingGroup
from openbark.extras import require_packages


@click.group(cls=SuggestingGroup)
def bench() -> None:
    """Measure how fast this machine speaks."""


@bench.command("say")
@click.option(
    "--model",
    default="shape:small",
    show_default=True,
    help="shape:small or shape:large (random weights of the published sizes), embedded, or a folder.",
)
@click.option("--against", default="", help="Peers, by commas: transformers, torch.")
@click.option("--seconds", default=10.0, show_default=True, help="Length of the clip.")
@click.option(
    "--voice",
    default="synthetic",
    show_default=True,
    help="A random history as long as v2/en_speaker_6's; none; a voice of the model, or an .npz.",
)
@click.option(
    "--dtype",
    default="int8",
    show_default=True,
    help="Precisions of OpenBark, by commas; int4:wide is int4 with other windows than --window.",
)
@click.option(
    "--window", default="stock", show_default=True, help="OpenBark's coarse windows: stock or wide."
)
@click.option("--repeat", default=3, show_default=True, help="Rounds; figures are medians.")
@click.option(
    "--peer-repeat", type=click.INT, help="Rounds of peers and float32. [default: --repeat]"
)
@click.option("--threads", type=click.INT, help="Threads of everybody. [default: all cores]")
def _say(
    model: str,
    against: str,
    seconds: float,
    voice: str,
    dtype: str,
    window: str,
    repeat: int,
    peer_repeat: int | None,
    threads: int | None,
) -> None:
    """Time one clip, stage by stage. The last line is one JSON document.

    \b
    openbark bench say
    openbark bench say --model embedded --voice en_0 --seconds 4
    openbark bench say --against transformers,torch --peer-repeat 1
    """
    from openbark.bench.card import card
    from openbark.bench.race import Race, run_race
    from openbark.bench.workload import Workload

    peers = tuple(part for part in against.split(",") if part)
    if peers:
        # Found here, and not in the process that would run the peer.
        require_packages(("torch", *(peer for peer in peers if peer == "transformers")), "bench")
    race = Race(
        Workload(model, seconds, voice, window, threads),
        tuple(part for part in dtype.split(",") if part),
        peers,
        repeat,
        repeat if peer_repeat is None else peer_repeat,
    )
    report = run_race(race, lambda line: click.echo(line, err=True))
    click.echo(card(report))
    click.echo(json.dumps(report))


bench.add_command(serve)

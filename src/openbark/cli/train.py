"""`openbark train ...`: from recordings, or from nothing, to a checkpoint. Heavy imports happen inside the commands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from openbark.cli.recipes import RecipeGroup

_FRESH_RATE, _FURTHER_RATE = 3e-4, 1e-4

Command = TypeVar("Command", bound=Callable[..., Any])

NETWORKS = ("semantic", "coarse", "fine", "codec", "semantic-tokenizer")


@click.group(cls=RecipeGroup)
def train() -> None:
    """Train a Bark: prepare recordings, train one network, or make the embedded model from nothing."""


@train.command()
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder for the shards."
)
@click.option(
    "--model", type=click.Path(path_type=Path), help="Checkpoint folder. [default: embedded model]"
)
@click.option(
    "--valid-share", default=0.05, show_default=True, help="Share of recordings held out."
)
def prepare(source: Path, output: Path, model: Path | None, valid_share: float) -> None:
    """Turn recordings into training shards.

    SOURCE is a folder of x.wav beside x.txt, or a .jsonl of {"audio", "text", "speaker"}.
    """
    from openbark.training.prepare import find_recordings, prepare

    report = prepare(find_recordings(source), _checkpoint(model), output, valid_share)
    for path, reason in report.refused.items():
        click.echo(f"refused {path}: {reason}", err=True)
    click.echo(
        f"{report.n_train} training and {report.n_valid} validation utterances, "
        f"{report.seconds:.1f} s, {len(report.refused)} refused -> {output}",
        err=True,
    )


def _fit_options(command: Command) -> Command:
    options = (
        click.option(
            "--data",
            required=True,
            type=click.Path(path_type=Path),
            help="Shards of `train prepare`.",
        ),
        click.option(
            "--state",
            "--run",
            "run",
            required=True,
            type=click.Path(path_type=Path),
            help="Folder of the run's state; resumed. (--run is its older name.)",
        ),
        click.option(
            "-o", "--output", required=True, type=click.Path(path_type=Path), help="New checkpoint."
        ),
        click.option(
            "--model", type=click.Path(path_type=Path), help="Start here. [default: embedded model]"
        ),
        click.option("--fresh", is_flag=True, help="Start from random weights of the same sizes."),
        click.option("--steps", default=2000, show_default=True, help="Optimiser steps."),
        click.option(
            "--lr",
            type=click.FLOAT,
            help="Peak learning rate. [default: 3e-4 with --fresh, else 1e-4]",
        ),
        click.option("--warmup", default=100, show_default=True, help="Steps of rising rate."),
        click.option(
            "--decay",
            default=0.3,
            show_default=True,
            help="Share of the steps, at the end, in which the rate falls.",
        ),
        click.option("--weight-decay", default=0.05, show_default=True, help="Of the matrices."),
        click.option(
            "--batch",
            type=click.INT,
            help="Per step and process: positions (semantic) or windows (coarse, fine). [default: 4096; 12]",
        ),
        click.option(
            "--weights",
            type=click.Choice(["best", "last"]),
            default="best",
            show_default=True,
            help="What -o holds: the weights of the best validation, or of the last step.",
        ),
        click.option(
            "--patience", type=int, help="Stop after this many validations without a new best."
        ),
        click.option(
            "--precision", type=click.Choice(["bf16", "fp32"]), default="bf16", show_default=True
        ),
        click.option("--device", default="cpu", show_default=True, help="cpu or cuda."),
        click.option("--threads", type=int, help="CPU threads. [default: torch's]"),
        click.option("--seed", default=0, show_default=True, help="Same seed, same weights."),
        click.option(
            "--validate-every", default=200, show_default=True, help="Steps between validations."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _network_command(name: str, help_text: str) -> None:
    @train.command(name=name, help=help_text)
    @_fit_options
    def command(
        data: Path,
        run: Path,
        output: Path,
        model: Path | None,
        fresh: bool,
        steps: int,
        lr: float | None,
        warmup: int,
        decay: float,
        weight_decay: float,
        batch: int | None,
        weights: str,
        patience: int | None,
        precision: str,
        device: str,
        threads: int | None,
        seed: int,
        validate_every: int,
    ) -> None:
        from openbark.training.distributed import is_first_process
        from openbark.training.loop import FitOptions
        from openbark.training.stage_run import train_network

        options = FitOptions(
            steps,
            lr if lr is not None else _FRESH_RATE if fresh else _FURTHER_RATE,
            warmup=warmup,
            decay_fraction=decay,
            weight_decay=weight_decay,
            patience=patience,
            precision=precision,
            device=device,
            threads=threads,
            seed=seed,
            validate_every=validate_every,
            checkpoint_every=validate_every,
        )
        result = train_network(
            name,
            _checkpoint(model),
            data,
            run,
            output,
            options,
            fresh=fresh,
            weights=weights,
            batch=batch,
        )
        if is_first_process():
            loss = result.best_loss if weights == "best" else result.metrics["loss"]
            click.echo(
                f"{name}: {result.steps} steps, {weights} weights with validation loss {loss:.4f} -> {output}",
                err=True,
            )


_network_command("semantic", "Train the semantic stage: text and voice to semantic tokens.")
_network_command("coarse", "Train the coarse stage: semantic tokens to the first codebooks.")
_network_command("fine", "Train the fine stage: the first codebooks to all of them.")
_network_command(
    "codec", "Train an iSTFT codec from nothing; its stages must be trained afterwards."
)
_network_command("semantic-tokenizer", "Train the network that turns audio into semantic tokens.")


def _checkpoint(model: Path | None) -> Any:
    from openbark.assets import embedded_directory
    from openbark.checkpoints.checkpoint import open_checkpoint

    return open_checkpoint(model or embedded_directory())

"""`openbark models`: what models are here, and what they are."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from openbark.checkpoints.checkpoint import Checkpoint

__all__ = ["models"]


@click.group()
def models() -> None:
    """List and inspect models."""


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def _list(as_json: bool) -> None:
    """List the models that are on this machine."""
    from openbark.api import find_checkpoint
    from openbark.assets import EMBEDDED_NAME, has_embedded
    from openbark.checkpoints.checkpoint import open_checkpoint

    found = []
    if has_embedded():
        found.append({"name": EMBEDDED_NAME, **_summary(open_checkpoint(find_checkpoint()))})
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    for entry in found:
        click.echo(
            f"{entry['name']}  {', '.join(entry['languages']) or 'any language'}, "
            f"{entry['megabytes']} MB, {len(entry['voices'])} voices, {entry['folder']}"
        )
    if not found:
        click.echo("no models here; give a checkpoint folder with --model", err=True)


@models.command("show")
@click.argument("model", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def _show(model: str | None, as_json: bool) -> None:
    """Show what a model is: MODEL is a checkpoint folder, or the embedded one if left out."""
    from openbark.api import find_checkpoint
    from openbark.checkpoints.checkpoint import open_checkpoint

    checkpoint = open_checkpoint(find_checkpoint(model))
    summary = _summary(checkpoint)
    if as_json:
        details = {
            "config": asdict(checkpoint.config),
            "default_params": asdict(checkpoint.defaults),
        }
        click.echo(json.dumps({**summary, **details}, ensure_ascii=False))
        return
    for name, value in {**summary, **_limits(checkpoint)}.items():
        shown = (
            ", ".join(str(item) for item in value) if isinstance(value, (list, tuple)) else value
        )
        click.echo(f"{name:<18} {shown or 'none named'}")


def _summary(checkpoint: Checkpoint) -> dict[str, Any]:
    from openbark.voices.folders import library_of

    config = checkpoint.config
    return {
        "model": config.name,
        "folder": str(checkpoint.directory),
        "languages": list(config.languages),
        "megabytes": round(_folder_bytes(checkpoint.directory) / 1e6, 1),
        "sample_rate": config.sample_rate,
        "codec": config.codec.model_type,
        "voices": list(library_of(checkpoint.directory, with_user_folders=False)),
    }


def _limits(checkpoint: Checkpoint) -> dict[str, Any]:
    config = checkpoint.config
    stages = {
        stage: f"{sizes.n_layer} layers, {sizes.n_head} heads, width {sizes.n_embd}"
        for stage, sizes in (
            ("semantic", config.semantic),
            ("coarse", config.coarse),
            ("fine", config.fine),
        )
    }
    defaults = checkpoint.defaults
    sampling = {
        f"{stage} defaults": ", ".join(
            f"{name} {value}"
            for name, value in asdict(params).items()
            if value is not None and (name != "min_eos_p" or stage == "semantic")
        )
        for stage, params in (
            ("semantic", defaults.semantic),
            ("coarse", defaults.coarse),
            ("fine", defaults.fine),
        )
        if params is not None
    }
    return {
        **stages,
        "semantic rate": f"{config.semantic_rules.rate_hz} Hz",
        "frame rate": f"{config.coarse_rules.rate_hz} Hz",
        "codebooks": config.fine_rules.n_codebooks,
        "longest text": f"{config.semantic_rules.max_text_tokens} tokens",
        "longest audio": f"{config.max_seconds:.1f} s",
        "text rules": config.text_normalizer,
        **sampling,
    }


def _folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

"""`openbark models`: what models are here, what they are, fetching and converting them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

from openbark.cli.groups import SuggestingGroup

if TYPE_CHECKING:
    from openbark.checkpoints.checkpoint import Checkpoint
    from openbark.cli.local_models import LocalModel

_EMPTY: Mapping[str, str] = MappingProxyType({"missing": "nothing", "packed": "not yet"})


@click.group(cls=SuggestingGroup)
def models() -> None:
    """List, inspect, fetch and convert models."""


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def _list(as_json: bool) -> None:
    """List the models that are on this machine, by the name to give to --model.

    The embedded one, those in the hub's cache (HF_HOME), in Suno's (XDG_CACHE_HOME) and in Coqui's (TTS_HOME).
    """
    from openbark.cli.local_models import local_models

    found = list(local_models())
    if as_json:
        click.echo(json.dumps([_entry(model) for model in found], ensure_ascii=False))
        return
    for model in found:
        if model.checkpoint is None:
            click.echo(f"{model.name}  {model.place}, cannot be used: {model.problem}")
            continue
        entry = _summary(model.checkpoint)
        lacks = f", lacks {' and '.join(entry['missing'])}" if entry["missing"] else ""
        click.echo(
            f"{model.name}  {', '.join(entry['languages']) or 'any language'}, "
            f"{entry['megabytes']} MB, {len(entry['voices'])} voices{lacks}, {model.place}: {model.folder}"
        )
    if not found:
        click.echo("no models here; give a checkpoint folder with --model", err=True)


def _entry(model: LocalModel) -> dict[str, Any]:
    known = {"name": model.name, "place": model.place, "folder": str(model.folder)}
    if model.checkpoint is None:
        return {**known, "problem": model.problem}
    return {**known, **_summary(model.checkpoint)}


@models.command("show")
@click.argument("model", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def _show(model: str | None, as_json: bool) -> None:
    """Show what a model is, without converting or fetching anything.

    MODEL is a checkpoint folder in any layout, one of Suno's .pt files, a hub name that is in the
    cache, or the embedded model if left out.
    """
    checkpoint = _open(model)
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
        click.echo(f"{name:<18} {shown or _EMPTY.get(name, 'none named')}")


@models.command("download")
@click.argument("name", metavar="OWNER/NAME")
@click.option("--dir", "directory", metavar="DIR", help="Folder to put it in; default: the cache.")
@click.option("--revision", help="Branch, tag or commit; default: the newest.")
def _download(name: str, directory: str | None, revision: str | None) -> None:
    """Fetch a model from the hub, such as suno/bark-small, and print its folder.

    Say it again after an interruption: it goes on where it stopped. HF_HOME moves the cache,
    HF_ENDPOINT names a mirror, HF_TOKEN opens private models.
    """
    from openbark.checkpoints.hub.download import HubAccess, download

    def announce(line: str) -> None:
        click.echo(line, err=True)

    click.echo(str(download(name, announce, HubAccess(revision=revision, directory=directory))))


@models.command("convert")
@click.argument("model")
@click.option("-o", "--out", "directory", required=True, metavar="DIR", help="New folder.")
@click.option(
    "--to",
    "layout",
    type=click.Choice(["hf", "suno"]),
    default="hf",
    show_default=True,
    help="hf: safetensors, as transformers and OpenBark load it; suno: Suno's .pt files.",
)
def _convert(model: str, directory: str, layout: str) -> None:
    """Write MODEL, of any layout, to a new folder; weights keep every bit."""
    from openbark.checkpoints.checkpoint import open_checkpoint
    from openbark.checkpoints.convert import convert_to_hf, convert_to_suno
    from openbark.checkpoints.find import find_checkpoint

    checkpoint = open_checkpoint(find_checkpoint(model))
    write = convert_to_hf if layout == "hf" else convert_to_suno
    click.echo(str(write(checkpoint, directory)))


def _open(model: str | None) -> Checkpoint:
    """A model as it is here, with or without tokenizer and codec."""
    from pathlib import Path

    from openbark.checkpoints.checkpoint import open_checkpoint
    from openbark.checkpoints.find import find_checkpoint
    from openbark.checkpoints.hub.download import cached, is_hub_id
    from openbark.errors import CheckpointNotFoundError

    if model is not None and is_hub_id(model) and not Path(model).exists():
        folder = cached(model)
        if folder is None:
            raise CheckpointNotFoundError(
                f"{model} is not on this machine; fetch it with: openbark models download {model}"
            )
    else:
        folder = find_checkpoint(model)
    return open_checkpoint(folder, need_tokenizer=False, need_codec=False)


def _summary(checkpoint: Checkpoint) -> dict[str, Any]:
    from openbark.checkpoints.checkpoint import source_files
    from openbark.voices.library import library_of

    config = checkpoint.config
    return {
        "model": config.name,
        "folder": str(checkpoint.directory),
        "languages": list(config.languages),
        "megabytes": round(_stored_bytes(checkpoint) / 1e6, 1),
        "layout": checkpoint.layout,
        "files": [path.name for path in source_files(checkpoint)],
        "missing": _missing(checkpoint),
        "sample_rate": config.sample_rate,
        "codec": config.codec.model_type,
        "voices": list(library_of(checkpoint.directory, with_user_folders=False)),
        "packed": _packed(checkpoint),
    }


def _packed(checkpoint: Checkpoint) -> list[str]:
    """Packed weights of this folder in our cache: precision, size, place."""
    from openbark.backends.native.packed_files import find_packed_files

    source = str(checkpoint.directory.resolve())
    return [
        f"{file.key.precision} {file.n_bytes / 1e6:.0f} MB {file.path}"
        for file in find_packed_files()
        if file.source == source
    ]


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


def _missing(checkpoint: Checkpoint) -> list[str]:
    """Parts that speech needs and that were not found."""
    from openbark.checkpoints.layouts.shapes import CODEC_PREFIX

    missing = []
    if not any(name.startswith(CODEC_PREFIX) for name in checkpoint.sources):
        missing.append("codec")
    if not checkpoint.tokenizer_path.is_file():
        missing.append("tokenizer")
    return missing


def _stored_bytes(checkpoint: Checkpoint) -> int:
    from openbark.checkpoints.checkpoint import source_files

    return sum(path.stat().st_size for path in source_files(checkpoint))

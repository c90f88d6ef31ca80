"""`openbark doctor`: does this installation speak, and if not, why."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import click

from openbark import __version__
from openbark.cli.process import share_cores
from openbark.errors import AudioError, OpenBarkError

_PACKAGES = ("numpy", "safetensors", "tokenizers", "soundfile", "click", "tqdm", "torch")
_TEST_TEXT = "Hello."
_TEST_TOKENS = 25


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. Only a required finding that is not ok fails the whole."""

    name: str
    ok: bool
    text: str
    required: bool = False


@click.command()
@click.option("--model", help="Checkpoint folder. [default: the embedded model]")
@click.option("--device", help="Try to speak on this device. [default: cpu]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def doctor(ctx: click.Context, model: str | None, device: str | None, as_json: bool) -> None:
    """Check this installation, down to a spoken word. Exit code 1 if it cannot speak."""
    share_cores()
    findings = [
        Finding("openbark", True, __version__),
        Finding("python", True, f"{platform.python_version()}, {platform.platform()}"),
        Finding("cpu", True, f"{_cores()} cores usable"),
        Finding("packages", True, _packages()),
        _attempt("cpu engine", _engine),
        Finding("packed weights", True, _packed()),
        *_torch_findings(),
        _attempt("audio files", _check_audio),
        _attempt("current folder", _check_folder),
        _attempt("model", lambda: _check_model(model), required=True),
        _attempt("speech", lambda: _speak(model, device), required=True),
    ]
    speaks = all(finding.ok for finding in findings if finding.required)
    if as_json:
        report = {"speaks": speaks, "findings": [asdict(finding) for finding in findings]}
        click.echo(json.dumps(report, ensure_ascii=False))
    else:
        for finding in findings:
            mark = "ok" if finding.ok else ("FAIL" if finding.required else "note")
            click.echo(f"{mark:<5} {finding.name:<15} {finding.text}")
        click.echo("this installation speaks" if speaks else "this installation cannot speak")
    ctx.exit(0 if speaks else 1)


def _attempt(name: str, check: Callable[[], str], required: bool = False) -> Finding:
    try:
        return Finding(name, True, check(), required)
    except OpenBarkError as error:
        return Finding(name, False, str(error), required)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _packages() -> str:
    found = []
    for package in _PACKAGES:
        try:
            found.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            found.append(f"{package} missing")
    return ", ".join(found)


def _engine() -> str:
    from openbark.backends.native.library import Pool, available_kernels

    pool = Pool()
    known = ", ".join(kind.name.lower() for kind in available_kernels())
    return f"{pool.kernels} kernels (of {known}), {pool.threads} threads"


def _packed() -> str:
    from openbark.backends.native.packed_files import (
        SWITCH_VARIABLE,
        find_packed_files,
        is_enabled,
        packed_directory,
    )

    files = find_packed_files()
    size = sum(file.n_bytes for file in files) / 1e6
    state = f"switched off by {SWITCH_VARIABLE}=0; " if not is_enabled() else ""
    return f"{state}{len(files)} files, {size:.0f} MB in {packed_directory()}"


def _torch_findings() -> list[Finding]:
    if find_spec("torch") is None:
        remedy = 'not installed; needed for GPUs and training: pip install "openbark[torch]"'
        return [Finding("torch", False, remedy)]
    from openbark.backends.torch.devices import describe_torch

    report = describe_torch()
    gpu = ", ".join(report.gpus)
    return [
        Finding("torch", True, f"{report.build}, {report.threads} threads"),
        Finding(
            "gpu", bool(gpu), f"{gpu} (use it with --device cuda)" if gpu else report.why_no_gpu
        ),
    ]


def _check_audio() -> str:
    from openbark.audio import FORMATS, encode_audio
    from openbark.audio.aac import has_aac

    try:
        import numpy as np

        written = [name for name in FORMATS if name != "aac" or has_aac()]
        for name in written:
            encode_audio(np.zeros(2400, dtype=np.float32), 24_000, name)
    except (ImportError, OSError) as error:
        raise AudioError(
            f"only wav, f32 and pcm can be written: soundfile does not work here ({error})"
        ) from error
    missing = "" if "aac" in written else '; aac: pip install "openbark[av]"'
    return f"can write {', '.join(written)}{missing}"


def _check_folder() -> str:
    from openbark.audio import check_output

    folder = Path.cwd()
    check_output(folder / "speech.wav")
    return f"can write to {folder}"


def _check_model(model: str | None) -> str:
    from openbark.checkpoints.checkpoint import open_checkpoint
    from openbark.checkpoints.find import find_checkpoint
    from openbark.voices.library import library_of

    folder = find_checkpoint(model)
    config = open_checkpoint(folder).config
    return (
        f"{config.name} with {len(library_of(folder, with_user_folders=False))} voices in {folder}"
    )


def _speak(model: str | None, device: str | None) -> str:
    from openbark.api import Bark
    from openbark.params import GenerationParams

    started = time.perf_counter()
    bark = Bark.load(model, device)
    loaded = time.perf_counter()
    params = GenerationParams(max_semantic_tokens=_TEST_TOKENS, allow_early_stop=False)
    clip = bark.generate(_TEST_TEXT, seed=0, params=params)
    return (
        f"loaded in {loaded - started:.1f} s, said {clip.seconds:.1f} s in {clip.wall_seconds:.1f} s "
        f"(real-time factor {clip.real_time_factor:.2f}; {bark.backend.description})"
    )

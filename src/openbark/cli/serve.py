"""`openbark serve`: an OpenAI-compatible server with a web page. Needs the extra [server]."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import click

from openbark.errors import MissingExtraError

if TYPE_CHECKING:
    from openbark.server.settings import ServerSettings

_NEEDS = ("fastapi", "uvicorn", "pydantic_settings", "prometheus_client", "multipart")


@click.command()
@click.option("--model", help="Checkpoint folder, or OWNER/NAME. [default: the embedded model]")
@click.option("--host", help="Address to listen on. [default: 127.0.0.1]")
@click.option("--port", type=click.INT, help="Port; 0 takes a free one. [default: 8000]")
@click.option("--wyoming-port", type=click.INT, help="Also speak Wyoming (Home Assistant) there.")
@click.option("--api-key-file", type=click.Path(path_type=Path), help="File of hashed keys.")
@click.option("--insecure", is_flag=True, default=None, help="Listen beyond this machine, no key.")
@click.option("--allowed-host", "allowed_hosts", multiple=True, help="A name of this server.")
@click.option(
    "--cors-origin",
    "cors_origins",
    multiple=True,
    help="A web page's origin that may use the server.",
)
@click.option("--data-directory", type=click.Path(path_type=Path), help="Keeps uploaded voices.")
@click.option("--voice-map", type=click.Path(path_type=Path), help="OpenAI's names to ours (TOML).")
@click.option("--settings", type=click.Path(path_type=Path), help="TOML file of any settings.")
@click.option("--device", help="cpu, cuda, ... [default: cpu]")
@click.option("--dtype", help="float32, bfloat16, int8 or int4. [default: the model's]")
@click.option("--backend", help="native or torch. [default: native where it can]")
@click.option("--threads", type=click.INT, help="CPU threads. [default: all cores]")
@click.option(
    "--ray", is_flag=True, help="On Ray Serve: the cluster of this machine, or a local one."
)
@click.option("--replicas", default="1", help="With --ray: copies of the model, N or LEAST:MOST.")
@click.option(
    "--cpus", type=click.FLOAT, help="With --ray: CPUs reserved for each copy. [default: --threads]"
)
@click.option(
    "--gpus",
    type=click.FLOAT,
    help="With --ray: GPUs of each copy, such as 0.5. [default: 1 on cuda]",
)
@click.option(
    "--fronts",
    type=click.INT,
    default=1,
    help="With --ray: processes that take requests and encode; they share --data-directory.",
)
@click.option("--make-key", metavar="NAME", help="Print a new key, its line for the file, and end.")
def serve(
    model: str | None,
    host: str | None,
    port: int | None,
    wyoming_port: int | None,
    api_key_file: Path | None,
    insecure: bool | None,
    allowed_hosts: tuple[str, ...],
    cors_origins: tuple[str, ...],
    data_directory: Path | None,
    voice_map: Path | None,
    settings: Path | None,
    device: str | None,
    dtype: str | None,
    backend: str | None,
    threads: int | None,
    ray: bool,
    replicas: str,
    cpus: float | None,
    gpus: float | None,
    fronts: int,
    make_key: str | None,
) -> None:
    """Serve OpenAI's speech API and a web page.

    Every setting can also stand in the TOML file of --settings or in the environment, as
    OPENBARK_SERVER_NAME; flags win.

    \b
    openbark serve
    openbark serve --make-key me >> keys.txt
    openbark serve --host 0.0.0.0 --api-key-file keys.txt --allowed-host speech.example
    """
    if not ray and (replicas, cpus, gpus, fronts) != ("1", None, None, 1):
        raise click.UsageError("--replicas, --cpus, --gpus and --fronts need --ray")
    _check_installed(_NEEDS, "server")
    if wyoming_port is not None:
        _check_installed(("wyoming",), "wyoming")
    from openbark.server.keys import key_line, new_key

    if make_key is not None:
        key = new_key()
        click.echo(f"key (shown once): {key}", err=True)
        click.echo(key_line(make_key, key))
        return
    from openbark.api import Bark
    from openbark.server.app import create_app
    from openbark.server.run import listen
    from openbark.server.run import serve as run_server
    from openbark.server.settings import load_settings
    from openbark.server.speakers.bark_speaker import BarkSpeaker

    flags = {
        "host": host,
        "port": port,
        "wyoming_port": wyoming_port,
        "api_key_file": api_key_file,
        "insecure": insecure,
        "allowed_hosts": allowed_hosts or None,
        "cors_origins": cors_origins or None,
        "data_directory": data_directory,
        "voice_map": voice_map,
    }
    used = load_settings(settings, flags)
    used.keys()
    if ray:
        _serve_on_ray(used, (model, device, dtype, backend, threads), replicas, cpus, gpus, fronts)
        return
    # Before the model, which may take minutes to load.
    door = listen(used)
    bark = Bark.load(model, device=device, dtype=dtype, threads=threads, backend=backend)
    app = create_app(BarkSpeaker(bark, used.max_rows), used)
    address, port = door.getsockname()[:2]
    shown = f"[{address}]" if ":" in address else address
    click.echo(f"{bark.config.name} at http://{shown}:{port}/ (Ctrl-C ends)", err=True)
    run_server(app, used, door)


def _serve_on_ray(
    settings: ServerSettings,
    model: tuple[str | None, str | None, str | None, str | None, int | None],
    replicas: str,
    cpus: float | None,
    gpus: float | None,
    fronts: int,
) -> None:
    _check_installed(("ray",), "ray")
    from openbark.server.extras.ray_speaker import ModelOptions
    from openbark.server.ray_serve import RayOptions, serve_until_signal

    device = model[1]
    options = RayOptions.parse(replicas, device, cpus, gpus, fronts)
    if device is not None and device.startswith("cuda:"):
        click.echo(f"with --ray, Ray chooses the GPUs: --device {device} is read as cuda", err=True)
    serve_until_signal(ModelOptions(*model), settings, options)


def _check_installed(modules: tuple[str, ...], extra: str) -> None:
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"this needs {', '.join(missing)}; install it with pip install 'openbark[{extra}]'"
        )

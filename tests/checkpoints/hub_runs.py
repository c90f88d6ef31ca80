"""`openbark` in a fresh process whose only hub is on loopback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from loopback_hub import Hub

ROOT = Path(__file__).parents[2]
NAME = "someone/bark-tiny"

NO_SOCKETS = """
import sys
def refuse(event, args):
    if event.startswith("socket."):
        raise SystemExit(f"a socket was opened: {event}")
sys.addaudithook(refuse)
"""
SMALL_CHUNKS = """
import huggingface_hub.constants
huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE = 4096
"""
MAIN = "import sys\nfrom openbark.cli.main import main\nmain()\n"


def start(
    hub: Hub,
    home: Path,
    *args: str,
    before: str = "",
    offline: bool = False,
    hf: Path | None = None,
) -> subprocess.Popen[str]:
    """Start one command line; `hf` is another place for the hub's cache."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
    environment |= {
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": str(hf or home / "hf"),
        "OPENBARK_CACHE": str(home / "openbark"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_DATA_HOME": str(home / "data"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_XET": "1",
        "NO_PROXY": "127.0.0.1",
        "PYTHONPATH": str(ROOT),
    }
    if offline:
        environment["HF_HUB_OFFLINE"] = "1"
    return subprocess.Popen(
        [sys.executable, "-c", before + MAIN, *args],
        cwd=home,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def openbark(
    hub: Hub,
    home: Path,
    *args: str,
    before: str = "",
    offline: bool = False,
    hf: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run one command line to its end."""
    with start(hub, home, *args, before=before, offline=offline, hf=hf) as process:
        out, err = process.communicate()
    return subprocess.CompletedProcess(args, process.returncode, out, err)

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from openbark.cli.main import cli
from openbark.voices.voice import Voice

Run = Callable[..., Result]


@pytest.fixture(scope="session")
def model_folder(tiny_checkpoint_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny checkpoint with two voices."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("cli") / "tiny"
    shutil.copytree(tiny_checkpoint_dir, folder)
    (folder / "voices").mkdir()
    codes = np.random.default_rng(0).integers(0, 32, (8, 30))
    for name in ("en_0", "en_1"):
        voice = Voice(
            semantic=np.arange(20), coarse=codes[:2], fine=codes, metadata={"language": "en"}
        )
        voice.save(folder / "voices" / f"{name}.npz")
    return folder


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command line in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def invoke(*args: str, stdin: bytes | None = None) -> Result:
        return CliRunner().invoke(cli, list(args), input=stdin, prog_name="openbark")

    return invoke

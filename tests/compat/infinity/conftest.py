from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from infinity_runs import voice

from openbark.api import Bark


@pytest.fixture(scope="session")
def folder(tiny_checkpoint_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny Bark with a voice of its own."""
    pytest.importorskip("torch")
    copy = tmp_path_factory.mktemp("infinity") / "tiny"
    shutil.copytree(tiny_checkpoint_dir, copy)
    (copy / "voices").mkdir()
    voice().save(copy / "voices" / "en_0.npz")
    return copy


@pytest.fixture(scope="session")
def bark(folder: Path) -> Bark:
    return Bark.load(folder, threads=1)


@pytest.fixture(autouse=True)
def infinity_home(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, no voices of the user, and the tiny Bark as the model that is found."""
    monkeypatch.chdir(tmp_path)
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.delenv("OPENBARK_VOICES", raising=False)
    monkeypatch.setenv("OPENBARK_MODEL", str(folder))
    return tmp_path

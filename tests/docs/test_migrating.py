"""The code blocks of the migration pages run, on a tiny checkpoint."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from openbark.voices.voice import Voice

ROOT = Path(__file__).parents[2]
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tiny_checkpoint_dir: Path, tmp_path: Path) -> Path:
    pytest.importorskip("torch")
    copy = tmp_path / "tiny"
    shutil.copytree(tiny_checkpoint_dir, copy)
    (copy / "voices").mkdir()
    codes = np.random.default_rng(0).integers(0, 32, (8, 60))
    Voice(np.arange(40), codes[:2], codes).save(copy / "voices" / "en_0.npz")
    return copy


@pytest.mark.parametrize("name", ["migrating-infinity.md", "migrating-transformers.md"])
def test_migration_blocks_run(
    name: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = PYTHON.findall((ROOT / "docs" / name).read_text(encoding="utf-8"))
    assert blocks
    monkeypatch.chdir(tmp_path)
    source = "\n".join(blocks)
    exec(compile(source, name, "exec"), {"__name__": "documentation", "FOLDER": str(folder)})

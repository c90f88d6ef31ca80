"""The code blocks of Suno's own pages, and of our page about them, run on a tiny model."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[3]
UPSTREAM = ROOT.parent / "shared" / "upstream"
FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[str]:
    return FENCE.findall(page.read_text(encoding="utf-8"))


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """Stand-ins for scipy's writer and IPython's player; returns what was written, by path."""
    written: dict[str, np.ndarray] = {}

    def write(path: str, rate: int, data: np.ndarray) -> None:
        assert rate == 24_000
        written[path] = data

    def audio(data: np.ndarray, rate: int) -> Any:
        written["played"] = data

    for name, member, value in (
        ("scipy", "io", None),
        ("scipy.io", "wavfile", None),
        ("scipy.io.wavfile", "write", write),
        ("IPython", "display", None),
        ("IPython.display", "Audio", audio),
    ):
        module = ModuleType(name)
        setattr(module, member, value)
        monkeypatch.setitem(sys.modules, name, module)
    return written


@pytest.mark.parametrize(("name", "n_blocks"), [("suno-readme.md", 4), ("suno-model-card.md", 2)])
def test_upstream_blocks_run_unchanged(
    tiny_generation: ModuleType, notebook: dict[str, np.ndarray], name: str, n_blocks: int
) -> None:
    page = UPSTREAM / name
    if not page.is_file():
        pytest.skip(f"{name} is not here")
    sources = blocks(page)
    assert len(sources) == n_blocks
    names: dict[str, Any] = {"__name__": "script"}
    for source in sources:
        exec(compile(source, name, "exec"), names)
        assert names["audio_array"].dtype == np.float32
        assert names["audio_array"].ndim == 1
    assert set(notebook) == {"/path/to/audio.wav", "played"}


def test_our_page_s_blocks_run(tiny_generation: ModuleType, tmp_path: Path) -> None:
    names: dict[str, Any] = {"__name__": "script"}
    (source,) = [block for block in blocks(ROOT / "docs" / "migrating.md") if "from bark" in block]
    exec(compile(source, "migrating.md", "exec"), names)
    assert (tmp_path / "mine.npz").is_file()
    assert names["audio"].ndim == 1

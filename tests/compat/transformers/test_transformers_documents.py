"""The code blocks of transformers' own page about Bark run on the embedded model: import line and model name changed."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

PAGE = Path(__file__).parents[3].parent / "shared" / "upstream" / "transformers-bark.md"
FENCE = re.compile(r"^```py\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def as_ours(source: str) -> str:
    """The two changes that docs/migrating-transformers.md asks for, and no other."""
    source = re.sub(
        r"^from transformers import", "from openbark.compat.transformers import", source, flags=re.M
    )
    return re.sub(r'"suno/bark(-small)?"', '"embedded"', source)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[int, np.ndarray]]:
    """A stand-in for scipy's writer; returns what was written, by path."""
    files: dict[str, tuple[int, np.ndarray]] = {}

    def write(path: str, rate: int, data: np.ndarray) -> None:
        files[path] = (rate, data)

    for name, member, value in (
        ("scipy", "io", None),
        ("scipy.io", "wavfile", None),
        ("scipy.io.wavfile", "write", write),
    ):
        module = ModuleType(name)
        setattr(module, member, value)
        monkeypatch.setitem(sys.modules, name, module)
    return files


def test_H17_H30_upstream_blocks_run(written: dict[str, tuple[int, np.ndarray]]) -> None:
    if not PAGE.is_file():
        pytest.skip(f"{PAGE.name} is not here")
    pipeline, model = FENCE.findall(PAGE.read_text(encoding="utf-8"))
    names: dict[str, Any] = {"__name__": "script"}
    exec(compile(as_ours(pipeline), "pipeline", "exec"), names)
    assert names["audio"].dtype == np.float32
    assert names["audio"].ndim == 1
    assert names["output"]["sampling_rate"] == 24_000
    names = {"__name__": "script"}
    exec(compile(as_ours(model), "model", "exec"), names)
    ((rate, samples),) = written.values()
    assert list(written) == ["bark_generation.wav"]
    assert (rate, samples.dtype, samples.ndim) == (24_000, np.float32, 1)
    assert rate < len(samples) < 15 * rate  # a sentence of nine words

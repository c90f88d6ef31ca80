"""The code blocks of Suno's own pages run on the embedded model, those of our page on a tiny one (M1, M3)."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from openbark.compat.suno.model_cache import Notices

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


@pytest.fixture
def embedded(clean_environment: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """`bark.generation` on a machine without any of Suno's files: the model inside the package."""
    from bark import generation

    monkeypatch.setattr(generation, "_NOTICES", Notices())
    yield generation
    generation.clean_models()


README = [
    ["using the small English model inside openbark"],
    ["reads no Korean; it speaks 'chuseogeun naega gajang"],
    ["cannot read ♪ (U+266A); left out"],
    ["no preset en_speaker_1; its own voice en_1 stands in"],
]
"""What is said on stderr about each block of Suno's README."""
MODEL_CARD = [["using the small English model inside openbark"], []]


@pytest.mark.parametrize(
    ("name", "warnings"), [("suno-readme.md", README), ("suno-model-card.md", MODEL_CARD)]
)
def test_M1_upstream_blocks_run_unchanged_on_the_embedded_model(
    embedded: ModuleType,
    notebook: dict[str, np.ndarray],
    caplog: pytest.LogCaptureFixture,
    name: str,
    warnings: list[list[str]],
) -> None:
    page = UPSTREAM / name
    if not page.is_file():
        pytest.skip(f"{name} is not here")
    names: dict[str, Any] = {"__name__": "script"}
    for source, expected in zip(blocks(page), warnings, strict=True):
        caplog.clear()
        exec(compile(source, name, "exec"), names)
        audio = names["audio_array"]
        assert audio.dtype == np.float32
        assert len(audio) > embedded.SAMPLE_RATE, "speech, not a click"
        assert 0.05 < np.abs(audio).max() <= 1
        assert len(caplog.messages) == len(expected)
        for message, part in zip(caplog.messages, expected, strict=True):
            assert part in message
    assert set(notebook) == {"/path/to/audio.wav", "played"}


LONG_FORM = """
from bark import SAMPLE_RATE, preload_models, semantic_to_waveform, generate_audio
from bark.generation import generate_text_semantic
from bark.api import semantic_to_waveform
import numpy as np

preload_models()
silence = np.zeros(int(0.25 * SAMPLE_RATE))
pieces = []
for sentence in SENTENCES:
    tokens = generate_text_semantic(
        sentence, history_prompt="v2/en_speaker_6", temp=0.6, min_eos_p=0.05
    )
    pieces += [semantic_to_waveform(tokens, history_prompt="v2/en_speaker_6"), silence.copy()]
whole = np.concatenate(pieces)

speakers = {"Samantha": "v2/en_speaker_9", "John": "v2/en_speaker_2"}
spoken = []
for line in ["Samantha: Hey, did you hear?", "John: No, what is it?"]:
    speaker, text = line.split(": ")
    spoken += [generate_audio(text, history_prompt=speakers[speaker]), np.zeros(SAMPLE_RATE // 2)]
"""
"""The calls of the long-form notebook (M3), sentences in place of its splitter."""


def test_M3_the_long_form_notebook_s_calls_run(embedded: ModuleType) -> None:
    names: dict[str, Any] = {"SENTENCES": ["Hey, have you heard?", "It is about a new model."]}
    exec(compile(LONG_FORM, "notebook", "exec"), names)
    assert names["whole"].dtype == np.float64, "as upstream: the silence is"
    assert len(names["spoken"]) == 4
    assert np.abs(names["pieces"][2]).max() > 0.01


def test_our_page_s_blocks_run(tiny_generation: ModuleType, tmp_path: Path) -> None:
    names: dict[str, Any] = {"__name__": "script"}
    (source,) = [block for block in blocks(ROOT / "docs" / "migrating.md") if "from bark" in block]
    exec(compile(source, "migrating.md", "exec"), names)
    assert (tmp_path / "mine.npz").is_file()
    assert names["audio"].ndim == 1

"""Suno's calls on the embedded model: text it cannot read as Suno's can, and the temperatures it was made for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import bark
from openbark.api import Bark
from openbark.assets import embedded_directory
from openbark.checkpoints import open_checkpoint
from openbark.compat.suno.reading import readable_text
from openbark.errors import TextError
from openbark.params import SUNO_PARAMS, GenerationParams, SamplingParams

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def model() -> Bark:
    return Bark.load()


@pytest.fixture
def embedded(clean_environment: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.setenv("OPENBARK_MODEL", "embedded")
    yield bark.generation
    bark.generation.clean_models()


@pytest.mark.parametrize(
    ("text", "read", "said"),
    [
        ("Hello there.", "Hello there.", []),
        (
            "♪ Ah, \U0001f600 oh ♪",
            "Ah, oh",
            ["cannot read ♪ (U+266A), \U0001f600 (U+1F600); left out"],
        ),
        ("한국 is Korea.", "hangug is Korea.", ["reads no Korean; it speaks 'hangug is Korea.'"]),
        ("추석 ♪", "chuseog", ["left out", "it speaks 'chuseog'"]),
    ],
)
def test_S30_what_the_model_cannot_read_is_said(
    model: Bark, caplog: pytest.LogCaptureFixture, text: str, read: str, said: list[str]
) -> None:
    assert readable_text(text, model) == read
    assert len(caplog.messages) == len(said)
    for message, part in zip(caplog.messages, said, strict=True):
        assert part in message


@pytest.mark.parametrize("text", ["Привет", "Hello 世界.", "♪ \U0001f600", "", "नमस्ते"])
def test_S30_letters_are_never_left_out(
    model: Bark, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    with pytest.raises(TextError):
        readable_text(text, model)
    assert caplog.messages == []


def test_S1_S2_S3_temperatures_that_are_left_out_are_the_checkpoint_s(
    embedded: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, SamplingParams]] = []
    for stage in ("semantic", "coarse", "fine"):
        plain = getattr(embedded, f"run_{stage}_stage")

        def run(*args: object, plain=plain, stage: str = stage) -> object:  # type: ignore[no-untyped-def]
            seen.extend((stage, a) for a in args if isinstance(a, SamplingParams))
            return plain(*args)

        monkeypatch.setattr(embedded, f"run_{stage}_stage", run)
    own = open_checkpoint(embedded_directory()).defaults
    torch.manual_seed(0)
    bark.generate_audio("Hi.", silent=True)
    assert [stage for stage, _ in seen] == ["semantic", "coarse", "fine"]
    for stage, sampling in seen:
        assert sampling.temperature == getattr(own, stage).temperature
        assert sampling.top_k is None
    assert seen[0][1].min_eos_p == own.semantic.min_eos_p  # type: ignore[union-attr]
    seen.clear()
    bark.generate_audio("Hi.", text_temp=0.7, waveform_temp=0.6, silent=True)
    assert [sampling.temperature for _, sampling in seen][:2] == [0.7, 0.6]
    seen.clear()
    tokens = embedded.generate_text_semantic("Hi.", min_eos_p=0.2, silent=True)
    embedded.generate_fine(np.zeros((2, 3), dtype=int), temp=0.5)
    assert seen[0][1].min_eos_p == 0.2
    assert seen[1][1].temperature == 0.5
    assert len(tokens) > 10


def test_B1_suno_s_checkpoints_have_suno_s_defaults(suno_files: Path) -> None:
    assert open_checkpoint(suno_files).defaults == SUNO_PARAMS
    assert SUNO_PARAMS.semantic == SamplingParams(temperature=0.7, min_eos_p=0.2)
    assert isinstance(SUNO_PARAMS, GenerationParams)
    assert (SUNO_PARAMS.coarse, SUNO_PARAMS.fine) == (
        SamplingParams(temperature=0.7),
        SamplingParams(temperature=0.5),
    )

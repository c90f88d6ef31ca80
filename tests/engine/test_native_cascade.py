"""Whole requests through the compiled engine: equal to the stages' uncached loop and to the torch backend."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from openbark.backends.base import DrawingBackend
from openbark.backends.native.backend import NativeBackend
from openbark.backends.native.library import library_path
from openbark.checkpoints import open_checkpoint
from openbark.engine.cascade import run_coarse, run_fine, run_semantic
from openbark.engine.request import Request
from openbark.params import SUNO_PARAMS, GenerationParams, SamplingParams
from openbark.stages.reference import reference_coarse, reference_fine, reference_semantic
from openbark.stages.sampling import Noise
from openbark.voices.voice import Voice

pytestmark = pytest.mark.skipif(
    not library_path().exists(), reason="the CPU engine was not built: no C++ compiler"
)


@pytest.fixture(scope="module")
def native(tiny_checkpoint_dir: Path) -> NativeBackend:
    return NativeBackend.load(open_checkpoint(tiny_checkpoint_dir), threads=2)


def _voice(seed: int) -> Voice:
    generator = np.random.default_rng(seed)
    codes = generator.integers(0, 32, (8, 45))
    return Voice(generator.integers(0, 100, 30), codes[:2], codes)


PARAMS = {
    "greedy": GenerationParams.greedy(),
    "suno": GenerationParams(),
    "filtered": GenerationParams(
        semantic=SamplingParams(0.9, top_k=20, top_p=0.9, min_eos_p=0.3),
        coarse=SamplingParams(0.8, top_p=0.8),
        fine=SamplingParams(0.6, top_k=7),
    ),
    "short": GenerationParams(max_semantic_tokens=11, allow_early_stop=False),
}


@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize("voice", [None, 4])
@pytest.mark.parametrize("name", PARAMS)
def test_requests_equal_the_uncached_loop(
    native: NativeBackend, name: str, voice: int | None, watched: bool
) -> None:
    assert isinstance(native, DrawingBackend)
    params = PARAMS[name].resolve(SUNO_PARAMS)
    history = None if voice is None else _voice(voice)
    looks: list[str] = []
    for seed in (0, 3):
        noise = Noise(seed)
        request = Request(
            text_tokens=np.arange(1, 9),
            params=params,
            seed=seed,
            voice=history,
            progress=(lambda stage, done, total: looks.append(stage)) if watched else None,
        )
        text = request.text_tokens
        semantic, reason = run_semantic(native, request)
        expected = reference_semantic(
            native, text, history.semantic if history else None, params, noise
        )
        assert (semantic.tolist(), reason) == (expected[0].tolist(), expected[1])
        source = np.resize(np.append(semantic, [5, 9]), 25)
        coarse = run_coarse(native, request, source)
        tokens = (history.semantic, history.coarse) if history else (None, None)
        np.testing.assert_array_equal(
            coarse, reference_coarse(native, source, *tokens, params, noise)
        )
        fine = run_fine(native, request, coarse)
        voice_fine = history.fine if history else None
        np.testing.assert_array_equal(
            fine, reference_fine(native, coarse, voice_fine, params, noise)
        )
    assert bool(looks) == watched


SPEAK = """
import sys
sys.modules["torch"] = None  # importing it now fails
import openbark
bark = openbark.Bark.load(sys.argv[1], threads=1)
clip = bark.generate("Hi.", seed=5, params=openbark.GenerationParams(max_semantic_tokens=4))
print(bark.backend.description, len(clip.waveform))
"""


def test_speaking_needs_no_torch(tiny_checkpoint_dir: Path) -> None:
    command = [sys.executable, "-c", SPEAK, str(tiny_checkpoint_dir)]
    spoken = subprocess.run(command, check=True, capture_output=True, text=True)
    assert spoken.stdout.startswith("native ")

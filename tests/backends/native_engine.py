"""What the tests of the compiled engine share: small shapes, checkpoints without files, kernel variants."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from openbark.backends.native.library import Kernels, available_kernels, library_path
from openbark.checkpoints import random_checkpoint
from openbark.checkpoints.checkpoint import Checkpoint
from openbark.config import BarkConfig, CoarseRules, FineGPTConfig, FineRules, GPTConfig
from openbark.params import SUNO_PARAMS

needs_engine = pytest.mark.skipif(
    not library_path().exists(), reason="the CPU engine was not built: no C++ compiler"
)


def variants() -> list[str]:
    """Names of the kernel variants of this machine; one placeholder where there is no engine."""
    if not library_path().exists():
        return ["none"]
    return [kind.name.lower() for kind in available_kernels() if isinstance(kind, Kernels)]


class _Array:
    parts = ()

    def __init__(self, array: object) -> None:
        self._array = array

    def read(self) -> object:
        return self._array


@cache
def checkpoint_in_memory(config: BarkConfig, seed: int = 1) -> Checkpoint:
    """A checkpoint of random weights that was never written."""
    sources = {name: _Array(array) for name, array in random_checkpoint(config, seed).items()}
    return Checkpoint(Path(), config, SUNO_PARAMS, Path("tokenizer.json"), sources)  # type: ignore[arg-type]


def uneven_config() -> BarkConfig:
    """Sizes that fill no panel, no vector and no key block evenly; biases everywhere."""
    tiny = BarkConfig.tiny()
    return replace(
        tiny,
        semantic=GPTConfig(64, 203, 111, n_layer=2, n_head=3, n_embd=42, bias=True),
        coarse=GPTConfig(72, 181, 181, n_layer=1, n_head=2, n_embd=20, bias=True),
        fine=FineGPTConfig(32, 37, 37, n_layer=2, n_head=3, n_embd=36, bias=True),
    )


def wide_config() -> BarkConfig:
    """The widths of the embedded model and its windows, in fewer layers: heads of 64, 48 and 16."""
    tiny = BarkConfig.tiny()
    return replace(
        tiny,
        semantic=GPTConfig(200, 200, 110, n_layer=2, n_head=4, n_embd=256),
        coarse=GPTConfig(288, 180, 180, n_layer=2, n_head=4, n_embd=192),
        fine=FineGPTConfig(256, 36, 36, n_layer=2, n_head=4, n_embd=64),
        coarse_rules=CoarseRules(
            semantic_pad_token=170,
            infer_token=171,
            max_semantic_input=100,
            max_history=150,
            sliding_window=30,
        ),
        fine_rules=FineRules(max_history=128, max_input=256),
    )


CONFIGS = {"tiny": BarkConfig.tiny(), "uneven": uneven_config(), "wide": wide_config()}

"""`bark.model` and `bark.model_fine`: sizes and networks of Suno's checkpoints (docs/parity.md S20-S23).

The networks need torch and are `openbark.backends.torch.suno_networks`; the sizes do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType, ModuleType
from typing import Any

from openbark.errors import MissingExtraError

_NETWORKS = ("GPT", "FineGPT")


def __getattr__(name: str) -> Any:
    if name not in _NETWORKS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(networks(), name)


def networks() -> ModuleType:
    """The module of the networks. Raises MissingExtraError without torch."""
    return _torch_module("suno_networks", "")


_INSTEAD = MappingProxyType(
    {
        "text": "generate_text_semantic",
        "coarse": "generate_coarse",
        "fine": "generate_fine",
        "codec": "codec_decode, or openbark.Bark.load(...).backend.codec_encode to make codes",
    }
)


def stage_networks(stage: str) -> ModuleType:
    """The module that makes a stage's network. Raises MissingExtraError without torch, naming the functions that
    do without."""
    return _torch_module("suno_stages", f"; without it use {_INSTEAD[stage]}")


def _torch_module(name: str, instead: str) -> ModuleType:
    if find_spec("torch") is None:
        raise MissingExtraError(
            "Suno's networks are torch modules; install PyTorch: "
            f'pip install "openbark[torch]"{instead}'
        )
    return import_module(f"openbark.backends.torch.{name}")


@dataclass
class GPTConfig:
    """Sizes of the text or the coarse model, with Suno's defaults. `openbark.config` has ours."""

    block_size: int = 1024
    input_vocab_size: int = 10_048
    output_vocab_size: int = 10_048
    n_layer: int = 12
    n_head: int = 12
    n_embd: int = 768
    dropout: float = 0.0
    bias: bool = True


@dataclass
class FineGPTConfig(GPTConfig):
    """Sizes of the fine model, with Suno's defaults."""

    n_codes_total: int = 8
    n_codes_given: int = 1

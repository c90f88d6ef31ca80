"""A checkpoint's networks as trainable torch modules, and back into a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from openbark.backends.torch.codecs import TorchCodec, build_codec
from openbark.backends.torch.fine import FineGPT
from openbark.backends.torch.gpt import CausalGPT
from openbark.backends.torch.semantic_encoder import SemanticEncoder
from openbark.checkpoints.checkpoint import Checkpoint
from openbark.checkpoints.layouts.tokenizer_files import read_tokenizer_json
from openbark.checkpoints.save import save_checkpoint
from openbark.errors import CheckpointUnsupportedError

PREFIXES = {
    "semantic": "semantic.",
    "coarse": "coarse_acoustics.",
    "fine": "fine_acoustics.",
    "codec": "codec_model.",
    "semantic-tokenizer": "semantic_encoder.",
}
"""Key prefix of each network in a checkpoint (docs/parity.md C2)."""

Module = TypeVar("Module", bound=nn.Module)


def _filled(module: Module, checkpoint: Checkpoint, name: str) -> Module:
    arrays = checkpoint.tensors(PREFIXES[name])
    module.load_state_dict(
        {key: torch.from_numpy(np.array(array)) for key, array in arrays.items()}
    )
    return module


def semantic_from(checkpoint: Checkpoint) -> CausalGPT:
    """The semantic stage's network."""
    return _filled(CausalGPT(checkpoint.config.semantic), checkpoint, "semantic")


def coarse_from(checkpoint: Checkpoint) -> CausalGPT:
    """The coarse stage's network."""
    return _filled(CausalGPT(checkpoint.config.coarse), checkpoint, "coarse")


def fine_from(checkpoint: Checkpoint) -> FineGPT:
    """The fine stage's network."""
    return _filled(FineGPT(checkpoint.config.fine), checkpoint, "fine")


def codec_from(checkpoint: Checkpoint) -> TorchCodec:
    """The codec, of whichever kind."""
    return _filled(build_codec(checkpoint.config.codec), checkpoint, "codec").eval()


def semantic_encoder_from(checkpoint: Checkpoint) -> SemanticEncoder:
    """The network from audio to semantic tokens; CheckpointUnsupportedError when there is none."""
    config = checkpoint.config.semantic_encoder
    if config is None:
        raise CheckpointUnsupportedError(
            f"{checkpoint.directory} has no semantic encoder; the embedded model has one"
        )
    return _filled(SemanticEncoder(config), checkpoint, "semantic-tokenizer").eval()


def replace_network(checkpoint: Checkpoint, name: str, module: nn.Module, output: Path) -> None:
    """Write a checkpoint to `output` that is `checkpoint` with one network's weights replaced."""
    tensors: dict[str, NDArray[np.floating]] = {}
    for other, prefix in PREFIXES.items():
        if other == "semantic-tokenizer" and checkpoint.config.semantic_encoder is None:
            continue
        if other == name:
            state = module.state_dict().items()
            tensors |= {prefix + key: value.detach().cpu().numpy() for key, value in state}
        else:
            tensors |= {prefix + key: value for key, value in checkpoint.tensors(prefix).items()}
    save_checkpoint(
        output,
        checkpoint.config,
        tensors,
        checkpoint.defaults,
        read_tokenizer_json(checkpoint.tokenizer_path),
    )

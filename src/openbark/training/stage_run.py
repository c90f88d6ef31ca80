"""One network of a checkpoint, trained on anybody's shards: a checkpoint in, a checkpoint out.

Starts from the checkpoint's own weights (fine-tuning) or from fresh ones of the same sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from openbark.backends.torch.gpt import initialise
from openbark.checkpoints.checkpoint import Checkpoint
from openbark.config import GPTConfig, IstftCodecConfig
from openbark.errors import CheckpointUnsupportedError, TrainingError
from openbark.text.tokenizer import Tokenizer
from openbark.training.coarse import CoarseOptions, CoarseTask
from openbark.training.codec import CodecTask, CodecTaskOptions, CodecTrainee
from openbark.training.data import Utterance, read_shards
from openbark.training.fine import FineOptions, FineTask
from openbark.training.loop import FitOptions, FitResult, Task, fit
from openbark.training.networks import (
    PREFIXES,
    coarse_from,
    fine_from,
    replace_network,
    semantic_encoder_from,
    semantic_from,
)
from openbark.training.semantic import SemanticOptions, SemanticTask
from openbark.training.semantic_tokenizer import SemanticTokenizerOptions, SemanticTokenizerTask

__all__ = ["NETWORKS", "Network", "train_network"]

Network = TypeVar("Network", bound=nn.Module)

NETWORKS = tuple(PREFIXES)
"""Names of what can be trained."""


def train_network(
    name: str,
    checkpoint: Checkpoint,
    data: Path,
    run: Path,
    output: Path,
    options: FitOptions,
    *,
    fresh: bool = False,
) -> FitResult:
    """Train one network on the train/ and valid/ shards of `data`, keep its state in `run`, write `output`.

    fresh: start from random weights instead of the checkpoint's. A codec always starts fresh: its codebooks
    are built from the data, and the stages have to be trained on its codes afterwards.
    """
    if name not in NETWORKS:
        raise TrainingError(f"network is {name!r}; legal: {', '.join(NETWORKS)}")
    splits = {}
    for split in ("train", "valid"):
        directory = data / split
        if not directory.is_dir():
            raise TrainingError(
                f"{directory} is missing; `openbark train prepare` makes train/ and valid/"
            )
        splits[split] = read_shards(directory)
    makers: dict[str, Callable[..., Task]] = {
        "semantic": _semantic,
        "coarse": _coarse,
        "fine": _fine,
        "codec": _codec,
        "semantic-tokenizer": _semantic_tokenizer,
    }
    task = makers[name](checkpoint, splits["train"], splits["valid"], options.seed, fresh)
    result = fit(task, options, run)
    trained: nn.Module = task.module
    if isinstance(trained, CodecTrainee):
        trained = trained.codec
    replace_network(checkpoint, name, trained, output)
    return result


def _start(model: Network, config: GPTConfig, seed: int, fresh: bool) -> Network:
    """The network as it is, or with fresh weights drawn from the seed."""
    if fresh:
        initialise(model, config.n_layer, torch.Generator().manual_seed(seed))
    return model


def _semantic(
    checkpoint: Checkpoint,
    train: Sequence[Utterance],
    valid: Sequence[Utterance],
    seed: int,
    fresh: bool,
) -> Task:
    model = _start(semantic_from(checkpoint), checkpoint.config.semantic, seed, fresh)
    encode = Tokenizer.load(checkpoint.tokenizer_path).encode
    return SemanticTask(model, checkpoint.config, encode, train, valid, SemanticOptions(seed=seed))


def _coarse(
    checkpoint: Checkpoint,
    train: Sequence[Utterance],
    valid: Sequence[Utterance],
    seed: int,
    fresh: bool,
) -> Task:
    model = _start(coarse_from(checkpoint), checkpoint.config.coarse, seed, fresh)
    return CoarseTask(model, checkpoint.config, train, valid, CoarseOptions(seed=seed))


def _fine(
    checkpoint: Checkpoint,
    train: Sequence[Utterance],
    valid: Sequence[Utterance],
    seed: int,
    fresh: bool,
) -> Task:
    model = _start(fine_from(checkpoint), checkpoint.config.fine, seed, fresh)
    return FineTask(model, checkpoint.config, train, valid, FineOptions(seed=seed))


def _codec(
    checkpoint: Checkpoint,
    train: Sequence[Utterance],
    valid: Sequence[Utterance],
    seed: int,
    fresh: bool,
) -> Task:
    config = checkpoint.config.codec
    if not isinstance(config, IstftCodecConfig):
        raise CheckpointUnsupportedError(
            f"{checkpoint.directory} has a codec of type {config.model_type!r}; allowed: 'istft' (start from "
            "the embedded model's config)"
        )
    clips = [u.waveform for u in train if u.waveform is not None]
    held_out = [u.waveform for u in valid if u.waveform is not None]
    return CodecTask(config, clips, held_out, CodecTaskOptions(seed=seed))


def _semantic_tokenizer(
    checkpoint: Checkpoint,
    train: Sequence[Utterance],
    valid: Sequence[Utterance],
    seed: int,
    fresh: bool,
) -> Task:
    config = checkpoint.config.semantic_encoder
    if config is None:
        raise CheckpointUnsupportedError(f"{checkpoint.directory} has no semantic encoder to train")
    task = SemanticTokenizerTask(config, train, valid, SemanticTokenizerOptions(seed=seed))
    if not fresh:
        task.module.load_state_dict(semantic_encoder_from(checkpoint).state_dict())
    return task

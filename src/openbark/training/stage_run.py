"""One network of a checkpoint, trained on shards of any origin: a checkpoint in, a checkpoint out.

Starts from the checkpoint's own weights (fine-tuning) or from fresh ones of the same sizes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
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
from openbark.training.distributed import is_first_process
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
from openbark.training.run_state import load_best_weights
from openbark.training.semantic import SemanticOptions, SemanticTask
from openbark.training.semantic_tokenizer import SemanticTokenizerOptions, SemanticTokenizerTask

Network = TypeVar("Network", bound=nn.Module)

NETWORKS = tuple(PREFIXES)
"""Names of what can be trained."""

WEIGHTS = ("best", "last")
"""Which weights a run can leave: those of the best validation, or those of the last step."""

_BATCHED = ("semantic", "coarse", "fine")


@dataclass(frozen=True)
class _How:
    """seed, fresh, batch: as in `train_network`."""

    seed: int
    fresh: bool
    batch: int | None


def train_network(
    name: str,
    checkpoint: Checkpoint,
    data: Path,
    run: Path,
    output: Path,
    options: FitOptions,
    *,
    fresh: bool = False,
    weights: str = "best",
    batch: int | None = None,
) -> FitResult:
    """Train one network on the train/ and valid/ shards of `data`, keep its state in `run`, write `output`.

    weights: which ones `output` holds, "best" of all validations or "last" ones. batch: positions per step of the
    semantic stage, windows per step of the others; None takes the network's own number. fresh: start from random weights instead of the checkpoint's. A codec always starts fresh: its codebooks
    are built from the data, and the stages have to be trained on its codes afterwards.
    """
    if name not in NETWORKS:
        raise TrainingError(f"network is {name!r}; allowed: {', '.join(NETWORKS)}")
    if weights not in WEIGHTS:
        raise TrainingError(f"weights is {weights!r}; allowed: {', '.join(WEIGHTS)}")
    if batch is not None and (batch < 1 or name not in _BATCHED):
        raise TrainingError(
            f"batch is {batch} for {name}; allowed: a whole number from 1, for {', '.join(_BATCHED)}"
        )
    if output.exists():
        raise TrainingError(
            f"{output} exists already; give another folder with -o, or move it away"
        )
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
    how = _How(options.seed, fresh, batch)
    task = makers[name](checkpoint, splits["train"], splits["valid"], how)
    result = fit(task, options, run)
    if not is_first_process():
        return result
    trained: nn.Module = task.module
    if weights == "best" and math.isfinite(result.best_loss):
        trained.load_state_dict(load_best_weights(run))
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
    how: _How,
) -> Task:
    model = _start(semantic_from(checkpoint), checkpoint.config.semantic, how.seed, how.fresh)
    encode = Tokenizer.load(checkpoint.tokenizer_path).encode
    own = SemanticOptions(seed=how.seed)
    options = replace(
        own,
        tokens_per_batch=how.batch or own.tokens_per_batch,
        guide_weight=own.guide_weight if how.fresh else 0.0,
    )
    return SemanticTask(model, checkpoint.config, encode, train, valid, options)


def _coarse(
    checkpoint: Checkpoint,
    train: Sequence[Utterance],
    valid: Sequence[Utterance],
    how: _How,
) -> Task:
    model = _start(coarse_from(checkpoint), checkpoint.config.coarse, how.seed, how.fresh)
    own = CoarseOptions(seed=how.seed)
    # Weights that were trained already have heads of their own; guidance would pull one of them away.
    options = replace(
        own,
        batch_size=how.batch or own.batch_size,
        guide_weight=own.guide_weight if how.fresh else 0.0,
    )
    return CoarseTask(model, checkpoint.config, train, valid, options)


def _fine(
    checkpoint: Checkpoint,
    train: Sequence[Utterance],
    valid: Sequence[Utterance],
    how: _How,
) -> Task:
    model = _start(fine_from(checkpoint), checkpoint.config.fine, how.seed, how.fresh)
    own = FineOptions(seed=how.seed)
    options = replace(own, batch_size=how.batch or own.batch_size)
    return FineTask(model, checkpoint.config, train, valid, options)


def _codec(
    checkpoint: Checkpoint,
    train: Sequence[Utterance],
    valid: Sequence[Utterance],
    how: _How,
) -> Task:
    config = checkpoint.config.codec
    if not isinstance(config, IstftCodecConfig):
        raise CheckpointUnsupportedError(
            f"{checkpoint.directory} has a codec of type {config.model_type!r}; allowed: 'istft' (start from "
            "the embedded model's config)"
        )
    clips = [u.waveform for u in train if u.waveform is not None]
    held_out = [u.waveform for u in valid if u.waveform is not None]
    return CodecTask(config, clips, held_out, CodecTaskOptions(seed=how.seed))


def _semantic_tokenizer(
    checkpoint: Checkpoint,
    train: Sequence[Utterance],
    valid: Sequence[Utterance],
    how: _How,
) -> Task:
    config = checkpoint.config.semantic_encoder
    if config is None:
        raise CheckpointUnsupportedError(f"{checkpoint.directory} has no semantic encoder to train")
    task = SemanticTokenizerTask(config, train, valid, SemanticTokenizerOptions(seed=how.seed))
    if not how.fresh:
        task.module.load_state_dict(semantic_encoder_from(checkpoint).state_dict())
    return task

"""Fixtures shared by every room: one tiny random Bark on disk, and loaded."""

from __future__ import annotations

import os

# Before torch is imported by any test: results must not depend on the machine's core count.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import string
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from openbark.checkpoints import open_checkpoint, random_checkpoint, save_checkpoint
from openbark.config import BarkConfig
from openbark.params import SUNO_PARAMS

if TYPE_CHECKING:
    from openbark.backends.torch.backend import TorchBackend

# The same examples on every run, and no verdict that depends on how busy the machine is.
settings.register_profile("openbark", deadline=None, derandomize=True)
settings.load_profile("openbark")

TINY_CHARACTERS = " " + string.ascii_letters + ".,?!'-"


def character_tokenizer() -> str:
    """A `tokenizer.json` with one token per character of `TINY_CHARACTERS`."""
    from tokenizers import Tokenizer, models

    vocabulary = {character: index for index, character in enumerate(TINY_CHARACTERS)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    text: str = tokenizer.to_str()
    return text


@pytest.fixture(scope="session")
def tiny_config() -> BarkConfig:
    return BarkConfig.tiny()


@pytest.fixture(scope="session")
def tiny_checkpoint_dir(tmp_path_factory: pytest.TempPathFactory, tiny_config: BarkConfig) -> Path:
    """A folder with a tiny random Bark (16 text slots, 40 semantic tokens at most). Read only, please.

    The end token has logit 0, so that it is drawn now and then and never at once by every request.
    """
    tensors = random_checkpoint(tiny_config, seed=1)
    tensors["semantic.lm_head.weight"][tiny_config.semantic_rules.eos_token] = 0.0
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny"
    return save_checkpoint(folder, tiny_config, tensors, SUNO_PARAMS, character_tokenizer())


@pytest.fixture(scope="session")
def tiny_backend(tiny_checkpoint_dir: Path) -> TorchBackend:
    """The tiny Bark in PyTorch, float32, one thread."""
    pytest.importorskip("torch")
    from openbark.backends.torch.backend import TorchBackend

    return TorchBackend.load(open_checkpoint(tiny_checkpoint_dir), threads=1)

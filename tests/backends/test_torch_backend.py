"""The torch backend: cache and no cache agree, threads change nothing that matters, devices are checked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from openbark.backends.torch.backend import TorchBackend
from openbark.backends.torch.gpt import CausalGPT, KVCache, initialise
from openbark.checkpoints.checkpoint import open_checkpoint
from openbark.checkpoints.random import random_checkpoint
from openbark.checkpoints.save import save_checkpoint
from openbark.config import BarkConfig, GPTConfig
from openbark.engine.cascade import run
from openbark.engine.request import Request
from openbark.errors import DeviceError, ParamError
from openbark.params import SUNO_PARAMS, GenerationParams
from openbark.stages.sampling import Stage, probabilities
from openbark.stages.semantic import Prompt

MARGIN = 1e-5
"""Two thread counts add floats in another order; a draw this close to a boundary may fall either way."""


@pytest.fixture(autouse=True)
def _restore_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def wide_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model wide enough that torch really splits its products over threads."""
    tiny = BarkConfig.tiny()
    config = replace(
        tiny,
        semantic=replace(tiny.semantic, n_embd=384, n_head=6),
        coarse=replace(tiny.coarse, n_embd=384, n_head=6),
    )
    folder = tmp_path_factory.mktemp("wide") / "model"
    save_checkpoint(folder, config, random_checkpoint(config, 5), GenerationParams(), None)
    return folder


def _load(folder: Path, threads: int) -> TorchBackend:
    return TorchBackend.load(open_checkpoint(folder, need_tokenizer=False), threads=threads)


def test_cached_steps_equal_one_uncached_pass() -> None:
    config = GPTConfig(40, 50, 50, n_layer=3, n_head=2, n_embd=16)
    model = CausalGPT(config).double().eval()
    initialise(model, 3, torch.Generator().manual_seed(1), std=0.3)
    ids = torch.arange(30)[None] * 7 % 50
    summed = torch.arange(8)[None]
    with torch.inference_mode():
        whole = model(ids, summed)
        cache = KVCache.empty(config, 1, model.lm_head.weight)
        # Unfilled positions hold NaN, so that reading one shows at once.
        cache.keys.fill_(float("nan"))
        cache.values.fill_(float("nan"))
        parts = [model(ids[:, :11], summed, cache), model(ids[:, 11:15], None, cache)]
        parts += [model(ids[:, i : i + 1], None, cache) for i in range(15, 30)]
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=1e-10, atol=1e-12)


def test_N17_training_attention_equals_inference_attention() -> None:
    config = GPTConfig(40, 50, 50, n_layer=2, n_head=2, n_embd=16)
    model = CausalGPT(config).double()
    initialise(model, 2, torch.Generator().manual_seed(2), std=0.3)
    ids = torch.arange(33)[None] * 11 % 50
    with torch.no_grad():
        trained = model.train()(ids)
        torch.testing.assert_close(trained, model.eval()(ids), rtol=1e-10, atol=1e-12)


def test_prefill_forgets_what_was_before(tiny_backend: TorchBackend) -> None:
    session = tiny_backend.session(Stage.COARSE)
    prompt = Prompt(np.arange(20, dtype=np.int64))
    first = session.prefill(prompt)
    session.step(3)
    np.testing.assert_array_equal(session.prefill(prompt), first)


def test_another_thread_count_gives_the_same_tokens(wide_folder: Path) -> None:
    results = []
    for threads in (1, 2):
        backend = _load(wide_folder, threads)
        request = Request(np.arange(9, dtype=np.int64), params=SUNO_PARAMS, seed=11)
        results.append(run(backend, request))
    one, two = results
    for name in ("semantic", "coarse", "fine"):
        ours, theirs = getattr(one, name), getattr(two, name)
        if ours.shape == theirs.shape and (ours == theirs).all():
            continue
        assert name == "semantic", "a later stage differed although its input was the same"
        first = int(np.argmax(ours[: len(theirs)] != theirs[: len(ours)]))
        _assert_close_call(wide_folder, ours[:first])
        break


def _assert_close_call(folder: Path, drawn: np.ndarray) -> None:
    """The next draw lies within MARGIN of the border between two tokens."""
    from openbark.stages.sampling import Noise
    from openbark.stages.semantic import semantic_prompt

    backend = _load(folder, 1)
    rules = backend.config.semantic_rules
    prompt = semantic_prompt(np.arange(9, dtype=np.int64), None, rules)
    logits = backend.causal_logits(
        Stage.SEMANTIC, Prompt(np.append(prompt.ids, drawn), prompt.summed)
    )
    support = np.append(logits[: rules.semantic_vocab_size], logits[rules.eos_token])
    sampling = SUNO_PARAMS.semantic
    assert sampling is not None
    borders = np.cumsum(probabilities(support[None], sampling)[0])
    uniform = Noise(11).uniform(Stage.SEMANTIC, len(drawn))
    assert np.abs(borders - uniform).min() < MARGIN


def test_unknown_device_and_dtype_are_named(tiny_checkpoint_dir: Path) -> None:
    checkpoint = open_checkpoint(tiny_checkpoint_dir)
    with pytest.raises(DeviceError, match="warp"):
        TorchBackend.load(checkpoint, device="warp")
    with pytest.raises(ParamError, match="bfloat16, float32, float64"):
        TorchBackend.load(checkpoint, dtype="int3")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_cuda_logits_equal_the_cpu(tiny_checkpoint_dir: Path) -> None:
    checkpoint = open_checkpoint(tiny_checkpoint_dir)
    prompt = Prompt(np.arange(20, dtype=np.int64))
    ours = TorchBackend.load(checkpoint, device="cuda").causal_logits(Stage.COARSE, prompt)
    np.testing.assert_allclose(
        ours, TorchBackend.load(checkpoint).causal_logits(Stage.COARSE, prompt), atol=1e-4
    )

"""Greedy tokens of the three stages equal those of transformers, token for token, in float64.

Small rules cross every border cheaply; the `suno` configuration has Suno's true vocabularies and windows
(256, 630, 60, 512, 1024) on a narrow network.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from transformers_oracle import (
    GREEDY,
    CachedNetwork,
    Oracle,
    RandomVoice,
    make_pair,
    random_voice,
)

from openbark.backends.torch.backend import TorchBackend
from openbark.config import (
    BarkConfig,
    CoarseRules,
    EncodecConfig,
    FineGPTConfig,
    FineRules,
    GPTConfig,
    SemanticRules,
)
from openbark.params import GenerationParams
from openbark.stages.coarse import n_coarse_steps
from openbark.stages.reference import reference_coarse, reference_fine, reference_semantic
from openbark.stages.sampling import Noise
from openbark.stages.semantic import StopReason

NOISE = Noise(0)


def _narrow_suno() -> BarkConfig:
    plain = BarkConfig()
    size = {"n_layer": 1, "n_head": 2, "n_embd": 16}
    return replace(
        plain,
        semantic=replace(plain.semantic, **size),
        coarse=replace(plain.coarse, **size),
        fine=replace(plain.fine, **size),
        codec=EncodecConfig(
            hidden_size=8, num_filters=2, codebook_dim=8, target_bandwidths=(1.5, 6.0)
        ),
    )


def _other_shape() -> BarkConfig:
    """Biases, three layers, an odd vocabulary, six codebooks, a whole ratio, other windows."""
    return BarkConfig(
        semantic=GPTConfig(50, 151, 88, n_layer=3, n_head=3, n_embd=24, bias=True),
        coarse=GPTConfig(61, 220, 215, n_layer=1, n_head=4, n_embd=16, bias=True),
        fine=FineGPTConfig(20, 67, 67, n_layer=3, n_head=1, n_embd=12, bias=True, n_codes_total=6),
        codec=EncodecConfig(
            sampling_rate=12_000,
            hidden_size=6,
            num_filters=2,
            upsampling_ratios=(5, 4, 3),
            codebook_size=64,
            codebook_dim=6,
            target_bandwidths=(1.2, 7.2),
        ),
        semantic_rules=SemanticRules(
            semantic_vocab_size=81,
            text_encoding_offset=90,
            text_pad_token=149,
            semantic_pad_token=83,
            eos_token=83,
            infer_token=150,
            max_text_tokens=11,
            rate_hz=50.0,
            max_new_tokens=30,
        ),
        coarse_rules=CoarseRules(
            semantic_pad_token=217,
            infer_token=218,
            rate_hz=100.0,
            max_semantic_input=9,
            max_history=30,
            sliding_window=8,
        ),
        fine_rules=FineRules(n_codebooks=6, max_history=7, max_input=18),
        codebook_size=64,
        sample_rate=12_000,
    )


CONFIGS = {"tiny": BarkConfig.tiny, "other": _other_shape, "suno": _narrow_suno}


class Pair(NamedTuple):
    oracle: Oracle
    backend: TorchBackend
    config: BarkConfig


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> object:
    root: Path = tmp_path_factory.mktemp("parity")

    @cache
    def make(name: str) -> Pair:
        config = CONFIGS[name]()
        return Pair(*make_pair(config, root / name, seed=11), config)

    return make


def _voice(config: BarkConfig, n_semantic: int | None) -> RandomVoice | None:
    return None if n_semantic is None else random_voice(config, n_semantic)


SEMANTIC_CASES = [
    *[
        (name, n_text, voice)
        for name in ("tiny", "other")
        for n_text in (1, 5, 11)
        for voice in (None, 4, 40)
    ],
    ("suno", 256, None),
    ("suno", 20, 100),
    ("suno", 20, 400),
]


@pytest.mark.parametrize(("name", "n_text", "n_voice"), SEMANTIC_CASES)
def test_semantic(pairs, name: str, n_text: int, n_voice: int | None) -> None:
    oracle, backend, config = pairs(name)
    vocabulary = config.semantic_rules.text_pad_token - config.semantic_rules.text_encoding_offset
    text = np.random.default_rng(n_text).integers(0, vocabulary, n_text)
    voice = _voice(config, n_voice)
    limit = min(40, config.semantic_rules.max_new_tokens)
    expected = oracle.semantic(text, voice, limit)
    history = None if voice is None else voice.semantic
    params = GenerationParams.greedy(max_semantic_tokens=limit)
    network = CachedNetwork(backend)
    found, reason = reference_semantic(network, text, history, params, NOISE)
    assert found.tolist() == expected.tolist()
    assert reason is (StopReason.EOS if len(expected) < limit else StopReason.MAX_TOKENS)
    assert network.n_steps >= len(expected) - 1
    if name != "suno":
        uncached, _ = reference_semantic(backend, text, history, params, NOISE)
        assert uncached.tolist() == expected.tolist()


def test_semantic_stops_at_the_same_end_token(tmp_path: Path) -> None:
    """With an end token as likely as any other, most texts end early, and where transformers ends."""
    config = BarkConfig.tiny()
    oracle, backend = make_pair(config, tmp_path / "eos", seed=5, eos_logit_zero=False)
    lengths = []
    for seed in range(12):
        text = np.random.default_rng(seed).integers(0, 80, 8)
        expected = oracle.semantic(text, None, 40)
        found, _ = reference_semantic(CachedNetwork(backend), text, None, GREEDY, NOISE)
        assert found.tolist() == expected.tolist()
        lengths.append(len(found))
    assert min(lengths) < 40


COARSE_CASES = [
    # tiny: 12 tokens per window (4 semantic), 36 of history (11 semantic), 16 semantic visible
    *[("tiny", n, voice) for n in (1, 4, 5, 12, 17, 40) for voice in (None, 1, 7, 28, 60)],
    *[("other", n, voice) for n in (1, 2, 3, 9, 30) for voice in (None, 5, 6, 33)],
    # suno: 60 tokens per window (20 semantic), 630 of history (209 semantic)
    ("suno", 20, None),
    ("suno", 21, None),
    ("suno", 25, 84),
    ("suno", 25, 250),
    ("suno", 230, None),
]


@pytest.mark.parametrize(("name", "n_semantic", "n_voice"), COARSE_CASES)
def test_coarse(pairs, name: str, n_semantic: int, n_voice: int | None) -> None:
    oracle, backend, config = pairs(name)
    vocabulary = config.semantic_rules.semantic_vocab_size
    semantic = np.random.default_rng(n_semantic).integers(0, vocabulary, n_semantic)
    voice = _voice(config, n_voice)
    expected = oracle.coarse(semantic, voice)
    assert expected.shape[1] * 2 == n_coarse_steps(n_semantic, config)
    arguments = (None, None) if voice is None else (voice.semantic, voice.coarse)
    found = reference_coarse(CachedNetwork(backend), semantic, *arguments, GREEDY, NOISE)
    assert found.tolist() == expected.tolist()
    if name != "suno":
        uncached = reference_coarse(backend, semantic, *arguments, GREEDY, NOISE)
        assert uncached.tolist() == expected.tolist()


FINE_CASES = [
    # tiny: windows of 32, 16 of history
    *[("tiny", n, voice) for n in (1, 15, 16, 17, 32, 33, 48, 49, 90) for voice in (None, 4, 30)],
    *[("other", n, voice) for n in (1, 7, 18, 19, 26, 60) for voice in (None, 2, 20)],
    # suno: windows of 1024, 512 of history
    *[("suno", n, voice) for n in (511, 512, 513, 1024, 1025) for voice in (None, 100, 400)],
    ("suno", 1600, 400),
]


@pytest.mark.parametrize(("name", "n_frames", "n_voice"), FINE_CASES)
def test_fine(pairs, name: str, n_frames: int, n_voice: int | None) -> None:
    oracle, backend, config = pairs(name)
    coarse = np.random.default_rng(n_frames).integers(0, config.codebook_size, (2, n_frames))
    voice = _voice(config, n_voice)
    expected = oracle.fine(coarse, voice)
    found = reference_fine(backend, coarse, None if voice is None else voice.fine, GREEDY, NOISE)
    assert found.shape == (config.fine_rules.n_codebooks, n_frames)
    assert found.tolist() == expected.tolist()
    assert found[:2].tolist() == coarse.tolist()


def test_whole_chain_equals_generate(pairs) -> None:
    """BarkModel.generate, configured by the files we wrote, gives our waveform."""
    oracle, backend, config = pairs("tiny")
    text = np.random.default_rng(2).integers(0, 80, 9)
    voice = random_voice(config, 33)
    import torch

    with torch.no_grad():
        expected = oracle.model.generate(
            **oracle.padded_text(text),
            history_prompt=voice.for_transformers(),
            do_sample=False,
            temperature=1.0,
        )[0].numpy()
    semantic, _ = reference_semantic(backend, text, voice.semantic, GREEDY, NOISE)
    coarse = reference_coarse(backend, semantic, voice.semantic, voice.coarse, GREEDY, NOISE)
    fine = reference_fine(backend, coarse, voice.fine, GREEDY, NOISE)
    waveform = backend.codec_decode(fine)
    assert waveform.shape == expected.shape
    assert np.abs(waveform - expected).max() < 1e-5

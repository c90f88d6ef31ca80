"""The semantic encoder and its training: shapes, padding, labels, overfitting of a few clips."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from openbark.backends.torch.semantic_encoder import SemanticEncoder
from openbark.config import SemanticEncoderConfig
from openbark.errors import TrainingError
from openbark.training.data import Utterance
from openbark.training.loop import FitOptions, fit
from openbark.training.semantic_tokenizer import SemanticTokenizerOptions, SemanticTokenizerTask

TINY = SemanticEncoderConfig(n_mels=24, dim=32, n_layer=3, vocab_size=24, pitch_bins=4)
OPTIONS = SemanticTokenizerOptions(batch_size=2, noise_db=(-90.0, -60.0), gain_db=(-3.0, 3.0))
FREQUENCIES = (200.0, 500.0, 1100.0, 2000.0, 3500.0, 6000.0)


def _utterance(index: int, seconds: float = 0.6) -> Utterance:
    """Tones of 100 ms; the tone is the unit. The pitch bin is relative to the clip's base pitch.

    A weak low tone carries the pitch: bin b of clip i sounds at ``(100 + 40 * i) * 1.3**b`` Hz, so
    that the same frequency is another bin in another clip.
    """
    random = np.random.default_rng(index)
    count = int(seconds * 50)
    units = np.repeat(random.integers(6, size=count), 5)[:count]
    bins = np.repeat(random.integers(4, size=count), 10)[:count]
    unit_hz = np.repeat(np.array(FREQUENCIES)[units], 480)
    pitch_hz = np.repeat((100.0 + 40.0 * index) * 1.3**bins, 480)
    waveform = 5000 * np.sin(2 * np.pi * np.cumsum(unit_hz) / 24_000)
    waveform += 3000 * np.sin(2 * np.pi * np.cumsum(pitch_hz) / 24_000)
    return Utterance(
        key=f"u{index}",
        text="",
        speaker="s",
        waveform=waveform.astype(np.int16),
        semantic=(units * 4 + bins).astype(np.int16),
    )


def test_default_network_is_small_and_gives_fifty_tokens_a_second() -> None:
    config = SemanticEncoderConfig()
    encoder = SemanticEncoder(config).eval()
    assert sum(p.numel() for p in encoder.parameters()) <= 600_000
    with torch.no_grad():
        tokens = encoder.encode(0.1 * torch.randn(2, 24_001))
    assert tokens.shape == (2, 51)
    assert tokens.dtype == torch.int64
    assert int(tokens.max()) < config.vocab_size


def test_token_is_unit_times_bins_plus_bin() -> None:
    encoder = SemanticEncoder(TINY).eval()
    with torch.no_grad():
        encoder.unit_head.bias[5] = 1e4
        encoder.pitch_head.bias[2] = 1e4
        tokens = encoder.encode(torch.randn(1, 960))
    assert tokens.tolist() == [[22, 22]]


def test_plain_vocabulary_has_no_pitch() -> None:
    encoder = SemanticEncoder(replace(TINY, vocab_size=7, pitch_bins=1)).eval()
    with torch.no_grad():
        units, pitch = encoder(torch.randn(1, 4800))
        tokens = encoder.encode(torch.randn(1, 4800))
    assert units.shape == (1, 10, 7)
    assert pitch.shape == (1, 10, 1)
    assert int(tokens.max()) < 7


@torch.no_grad()
def test_padding_stays_out_of_the_utterance_summary() -> None:
    torch.manual_seed(0)
    encoder = SemanticEncoder(TINY).eval()
    waveform = 0.1 * torch.randn(1, 100 * 480)
    padded = torch.nn.functional.pad(waveform, (0, 40 * 480))
    alone = encoder(waveform)[0][:, :50]
    counted = encoder(padded)[0][:, :50]
    masked = encoder(padded, torch.tensor([100]))[0][:, :50]
    # Frames next to the padding see it and move the summary a little: equal it cannot be.
    assert float((masked - alone).abs().max()) < 0.3 * float((counted - alone).abs().max())


def test_summary_tells_utterances_apart() -> None:
    """The same frames get other logits when the rest of the utterance changes far away."""
    torch.manual_seed(0)
    encoder = SemanticEncoder(TINY).eval()
    start = 0.1 * torch.randn(1, 60 * 480)
    with torch.no_grad():
        a = encoder(torch.cat([start, 0.01 * torch.randn(1, 60 * 480)], dim=1))[1]
        b = encoder(torch.cat([start, 0.5 * torch.randn(1, 60 * 480)], dim=1))[1]
    assert float((a - b)[:, :20].abs().max()) > 1e-3


def test_encoder_overfits_four_clips(tmp_path: Path) -> None:
    clips = [_utterance(i) for i in range(4)]
    task = SemanticTokenizerTask(TINY, clips, clips, replace(OPTIONS, batch_size=4))
    before = task.validate()
    options = FitOptions(
        steps=180,
        lr=5e-3,
        warmup=10,
        validate_every=180,
        checkpoint_every=180,
        log_every=90,
        threads=1,
    )
    result = fit(task, options, tmp_path)
    assert result.metrics["loss"] < 0.1 * before["loss"]
    assert result.metrics["token_accuracy"] > 0.9
    assert result.metrics["phone_accuracy"] >= result.metrics["unit_accuracy"]
    assert result.metrics["unit_accuracy"] >= result.metrics["token_accuracy"]


def test_batches_hold_matching_padded_labels() -> None:
    clips = [_utterance(0, 0.3), _utterance(1, 0.5)]
    options = replace(OPTIONS, gain_db=(0.0, 0.0), noise_db=(-200.0, -200.0))
    batch = SemanticTokenizerTask(TINY, clips, clips, options).batch(0, 0, 1)
    assert batch.frames.tolist() == [15, 25]
    assert clips[0].semantic is not None and clips[0].waveform is not None
    assert batch.tokens[0].tolist() == clips[0].semantic.tolist() + [-100] * 10
    expected = clips[0].waveform.astype(np.float32) / 32768.0
    np.testing.assert_allclose(batch.waveform[0, : 15 * 480].numpy(), expected, atol=1e-6)
    assert float(batch.waveform[0, 15 * 480 :].abs().max()) < 1e-6


def test_batches_depend_on_step_and_rank_only() -> None:
    clips = [_utterance(i) for i in range(6)]
    task = SemanticTokenizerTask(TINY, clips, clips, OPTIONS)
    first = task.batch(3, 0, 2)
    task.batch(4, 0, 2)
    assert torch.equal(first.waveform, task.batch(3, 0, 2).waveform)
    assert not torch.equal(first.waveform, task.batch(3, 1, 2).waveform)


def test_padding_does_not_count_in_the_loss() -> None:
    clips = [_utterance(0, 0.3), _utterance(1, 0.5)]
    task = SemanticTokenizerTask(TINY, clips, clips, OPTIONS)
    batch = task.batch(0, 0, 1)
    with torch.no_grad():
        losses = task.loss(batch, 0, torch.Generator())
        units, _ = task.module(batch.waveform, batch.frames)
    logs = units.log_softmax(-1)
    terms = [
        -float(logs[row, t, int(batch.tokens[row, t]) // 4])
        for row in range(2)
        for t in range(int(batch.frames[row]))
    ]
    assert float(losses["unit"]) == pytest.approx(sum(terms) / len(terms), rel=1e-4)


def test_unlabelled_or_foreign_utterances_are_named() -> None:
    good = [_utterance(0)]
    with pytest.raises(TrainingError, match="no training utterances"):
        SemanticTokenizerTask(TINY, [], good, OPTIONS)
    with pytest.raises(TrainingError, match="'u1' of the validation data has no"):
        SemanticTokenizerTask(TINY, good, [replace(_utterance(1), semantic=None)], OPTIONS)
    with pytest.raises(TrainingError, match="vocab_size is 8"):
        SemanticTokenizerTask(replace(TINY, vocab_size=8), good, good, OPTIONS)

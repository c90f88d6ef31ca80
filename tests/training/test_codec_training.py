"""Codec training: moving codebooks, both tasks, exact resume, overfitting of a few clips."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from openbark.backends.torch.istft import IstftCodec
from openbark.backends.torch.residual import ResidualQuantizer
from openbark.config import IstftCodecConfig
from openbark.errors import TrainingError
from openbark.training.codec import CodecTask, CodecTaskOptions, DecoderClip, DecoderTask
from openbark.training.loop import FitOptions, fit
from openbark.training.quantizer import EmaQuantizer
from openbark.training.run_state import load_state

TINY = IstftCodecConfig(
    n_mels=24,
    codebook_size=32,
    codebook_dim=8,
    n_codebooks=4,
    encoder_dim=24,
    encoder_layers=1,
    decoder_dim=48,
    decoder_layers=2,
)
OPTIONS = CodecTaskOptions(
    batch_size=4, crop_frames=12, quantize_from=4, init_batches=4, validation_clips=2
)
FIT = FitOptions(
    steps=10,
    lr=2e-3,
    warmup=2,
    checkpoint_every=3,
    validate_every=10,
    log_every=5,
    threads=1,
    betas=(0.8, 0.99),
)


def _clips(count: int = 4, seconds: float = 0.5) -> list[NDArray[np.int16]]:
    """Harmonic tones whose pitch glides, one pitch per clip."""
    time = np.arange(int(24_000 * seconds)) / 24_000
    clips = []
    for i in range(count):
        phase = 2 * np.pi * (110 * (i + 1) * time + 40 * time**2)
        tone = sum(np.sin(k * phase) / k for k in range(1, 6))
        clips.append((4000 * np.asarray(tone)).astype(np.int16))
    return clips


def _codec() -> IstftCodec:
    torch.manual_seed(0)
    codec = IstftCodec(TINY)
    for k in range(TINY.n_codebooks):
        codec.quantizer.codebook(k).embed.normal_(0.0, 0.5**k)
    return codec


def test_codebooks_start_at_the_clusters_of_the_data() -> None:
    generator = torch.Generator().manual_seed(0)
    centres = torch.tensor([[5.0, 0.0], [-5.0, 0.0], [0.0, 5.0], [0.0, -5.0]])
    points = centres.repeat(50, 1) + 0.01 * torch.randn(200, 2, generator=generator)
    quantizer = ResidualQuantizer(2, 8, 2)
    ema = EmaQuantizer(2, 8, 2)
    ema.initialise(quantizer, points, generator)
    nearest = torch.cdist(centres, quantizer.codebook(0).embed).min(1).values
    assert float(nearest.max()) < 0.05
    rebuilt = quantizer.decode(quantizer.encode(points[None]))
    assert float((rebuilt[0] - points).abs().max()) < 0.05
    assert int(ema.initialised) == 1


def test_codebook_follows_a_moving_mean_of_what_hits_it() -> None:
    quantizer = ResidualQuantizer(1, 2, 1)
    quantizer.codebook(0).embed[:] = torch.tensor([[-1.0], [1.0]])
    ema = EmaQuantizer(1, 2, 1, decay=0.5)
    ema.cluster_size.fill_(2.0)
    ema.embed_sum[0] = 2.0 * quantizer.codebook(0).embed
    latent = torch.tensor([[[-2.0], [-3.0], [0.5], [1.5]]])
    ema(quantizer, latent, torch.tensor([1]), torch.Generator(), update=True)
    # New sums: half of the old (-2, 2) plus half of the hits (-5, 2); sizes stay at 2.
    torch.testing.assert_close(quantizer.codebook(0).embed, torch.tensor([[-1.75], [1.0]]))
    torch.testing.assert_close(ema.cluster_size, torch.tensor([[2.0, 2.0]]))


def test_unused_entries_restart_at_vectors_of_the_batch() -> None:
    generator = torch.Generator().manual_seed(0)
    quantizer = ResidualQuantizer(1, 3, 2)
    quantizer.codebook(0).embed[:] = torch.tensor([[0.0, 0.0], [900.0, 0.0], [0.0, 900.0]])
    ema = EmaQuantizer(1, 3, 2)
    ema.cluster_size[0] = torch.tensor([5.0, 0.0, 0.0])
    latent = torch.randn(1, 20, 2, generator=generator)
    ema(quantizer, latent, torch.tensor([1]), generator, update=True)
    restarted = quantizer.codebook(0).embed[1:]
    assert float(torch.cdist(restarted, latent[0]).min(1).values.max()) < 0.02


def test_each_item_is_decoded_from_its_own_number_of_codebooks() -> None:
    quantizer = _codec().quantizer
    ema = EmaQuantizer(4, 32, 8)
    latent = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(0), requires_grad=True)
    counts = torch.tensor([1, 2, 4])
    quantised, commitment, codes = ema(quantizer, latent, counts, torch.Generator(), update=False)
    assert torch.equal(codes, quantizer.encode(latent.detach()))
    for item, count in enumerate(counts.tolist()):
        expected = quantizer.decode(codes[item : item + 1, :count])[0]
        torch.testing.assert_close(quantised[item], expected)
    left = [
        float((latent.detach()[i] - quantizer.decode(codes[i : i + 1, : k + 1])[0]).square().sum())
        for i, count in enumerate(counts.tolist())
        for k in range(count)
    ]
    assert float(commitment.detach()) == pytest.approx(sum(left) / (7 * 5 * 8), rel=1e-5)
    quantised.sum().backward()
    assert latent.grad is not None
    torch.testing.assert_close(latent.grad, torch.ones_like(latent))


def test_codec_overfits_four_clips(tmp_path: Path) -> None:
    options = replace(OPTIONS, gain_db=(0.0, 0.0), quantize_from=30)
    task = CodecTask(TINY, _clips(), _clips(), options)
    before = task.validate()
    result = fit(task, replace(FIT, steps=220, lr=8e-3, validate_every=220), tmp_path)
    assert result.metrics["mel_all"] < 0.35 * before["mel_all"]
    assert result.metrics["mel_2"] < 0.35 * before["mel_2"]
    assert all(1.0 < result.metrics[f"perplexity_{k}"] <= 32.0 for k in range(4))


def test_killed_codec_run_resumes_bit_for_bit(tmp_path: Path) -> None:
    """Crosses the k-means start (step 4) and the moving codebooks."""
    fit(CodecTask(TINY, _clips(), _clips(), OPTIONS), FIT, tmp_path / "whole")

    class _KilledError(Exception):
        pass

    def kill(step: int, metrics: dict[str, float]) -> None:
        raise _KilledError

    with pytest.raises(_KilledError):
        fit(
            CodecTask(TINY, _clips(), _clips(), OPTIONS),
            replace(FIT, log_every=8),
            tmp_path / "killed",
            progress=kill,
        )
    fit(CodecTask(TINY, _clips(), _clips(), OPTIONS), FIT, tmp_path / "killed")
    whole, killed = load_state(tmp_path / "whole"), load_state(tmp_path / "killed")
    assert whole is not None and killed is not None
    assert "ema.cluster_size" in whole["module"]
    assert "codec.quantizer.layers.3.codebook.embed" in whole["module"]
    for key, value in whole["module"].items():
        assert torch.equal(value, killed["module"][key]), key


def test_codebooks_stay_untouched_before_they_start() -> None:
    task = CodecTask(TINY, _clips(), _clips(), OPTIONS)
    generator = torch.Generator().manual_seed(0)
    task.loss(task.batch(3, 0, 1), 3, generator)
    assert int(task.module.ema.initialised) == 0
    task.loss(task.batch(4, 0, 1), 4, generator)
    assert int(task.module.ema.initialised) == 1


def test_batches_depend_on_step_and_rank_only() -> None:
    task = CodecTask(TINY, _clips(), _clips(), OPTIONS)
    first = task.batch(7, 0, 2)
    task.batch(8, 0, 2)
    assert torch.equal(first, task.batch(7, 0, 2))
    assert not torch.equal(first, task.batch(7, 1, 2))
    assert first.shape == (4, 12 * 480)
    assert first.dtype == torch.float32


def test_clip_shorter_than_a_crop_is_padded_with_silence() -> None:
    short = [np.full(1000, 16384, dtype=np.int16)]
    task = CodecTask(TINY, short, short, replace(OPTIONS, gain_db=(0.0, 0.0)))
    row = task.batch(0, 0, 1)[0]
    assert row[:1000].tolist() == [0.5] * 1000
    assert float(row[1000:].abs().max()) == 0.0


def test_missing_waveforms_are_named() -> None:
    with pytest.raises(TrainingError, match="no training waveforms"):
        CodecTask(TINY, [], _clips(), OPTIONS)
    with pytest.raises(TrainingError, match="no validation waveforms"):
        CodecTask(TINY, _clips(), [], OPTIONS).validate()


def _decoder_clips(codec: IstftCodec, shift: int | None = None) -> list[DecoderClip]:
    clips = []
    for waveform in _clips():
        target = torch.from_numpy(waveform.astype(np.float32) / 32768.0)[None]
        with torch.no_grad():
            codes = codec.encode(target)[0].numpy().astype(np.int16)
        predicted = None if shift is None else ((codes + shift) % 32).astype(np.int16)
        clips.append(DecoderClip(waveform, codes, predicted))
    return clips


def test_decoder_task_moves_the_decoder_only(tmp_path: Path) -> None:
    codec = _codec()
    task = DecoderTask(codec, _decoder_clips(codec), _clips(), OPTIONS)
    before = {key: value.clone() for key, value in codec.state_dict().items()}
    start = task.validate()["loss"]
    result = fit(task, replace(FIT, steps=60, validate_every=60), tmp_path)
    assert result.metrics["loss"] < 0.8 * start
    for key, value in codec.state_dict().items():
        assert torch.equal(value, before[key]) != key.startswith("decoder."), key


def test_decoder_batches_pair_each_crop_with_its_codes() -> None:
    codec = _codec()
    clips = _decoder_clips(codec)
    task = DecoderTask(codec, clips, _clips(), OPTIONS)
    waveforms, codes = task.batch(3, 0, 1)
    for waveform, code in zip(waveforms, codes, strict=True):
        places = [
            (clip.codes[:, start : start + 12] == code.numpy()).all()
            and np.allclose(
                waveform.numpy() * 32768.0, clip.waveform[start * 480 : (start + 12) * 480]
            )
            for clip in clips
            for start in range(clip.codes.shape[1] - 11)
        ]
        assert any(places)


@pytest.mark.parametrize(("fraction", "share"), [(0.0, 0.0), (1.0, 1.0)])
def test_decoder_task_takes_predicted_codes_as_often_as_asked(
    fraction: float, share: float
) -> None:
    codec = _codec()
    clips = [replace(clip, codes=clip.codes * 0) for clip in _decoder_clips(codec, shift=1)]
    clips = [replace(clip, predicted=np.ones_like(clip.codes)) for clip in clips]
    options = replace(OPTIONS, predicted_fraction=fraction)
    _, codes = DecoderTask(codec, clips, _clips(), options).batch(0, 0, 1)
    assert float(codes.float().mean()) == share


def test_decoder_task_decodes_what_corrupt_returns() -> None:
    codec = _codec()
    clips = _decoder_clips(codec)
    seen: list[Tensor] = []

    def corrupt(codes: Tensor, generator: torch.Generator) -> Tensor:
        seen.append(codes)
        return torch.zeros_like(codes)

    options = replace(OPTIONS, short_fraction=0.0)
    task = DecoderTask(codec, clips, _clips(), options, corrupt)
    target, codes = task.batch(0, 0, 1)
    losses = task.loss((target, codes), 0, torch.Generator().manual_seed(0))
    plain = DecoderTask(codec, clips, _clips(), options)
    zeros = plain.loss((target, codes * 0), 0, torch.Generator().manual_seed(0))
    assert torch.equal(seen[0], codes)
    assert torch.equal(losses["loss"], zeros["loss"])


def test_clips_that_are_all_too_short_are_refused() -> None:
    codec = _codec()
    with pytest.raises(TrainingError, match="shorter than crop_frames 100"):
        DecoderTask(codec, _decoder_clips(codec), _clips(), replace(OPTIONS, crop_frames=100))

"""Every kind of codec through a checkpoint folder into both backends: saved, read, spoken with, encoded with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from codec_cases import TINY_HARMONIC, TINY_ISTFT
from native_engine import needs_engine

from openbark.backends.base import StreamingBackend
from openbark.backends.codec_stream import codec_lookahead, open_codec_stream
from openbark.backends.native.backend import NativeBackend
from openbark.backends.torch.backend import TorchBackend
from openbark.checkpoints import open_checkpoint, random_checkpoint
from openbark.checkpoints.save import save_checkpoint
from openbark.config import BarkConfig, CodecConfig, SemanticEncoderConfig
from openbark.params import SUNO_PARAMS

BACKENDS = ["torch", pytest.param("native", marks=needs_engine)]
CODECS: dict[str, CodecConfig] = {
    "encodec": BarkConfig.tiny().codec,
    "istft": replace(TINY_ISTFT, codebook_size=32, n_codebooks=8),
    "harmonic": replace(TINY_HARMONIC, codebook_size=32, n_codebooks=8),
}


def _saved(folder: Path, kind: str) -> BarkConfig:
    config = replace(
        BarkConfig.tiny(),
        codec=CODECS[kind],
        semantic_encoder=SemanticEncoderConfig(dim=8, vocab_size=96, pitch_bins=6),
    )
    save_checkpoint(folder, config, random_checkpoint(config), SUNO_PARAMS, None)
    return config


@pytest.mark.parametrize("kind", CODECS)
def test_a_saved_folder_is_read_back(kind: str, tmp_path: Path) -> None:
    config = _saved(tmp_path / "m", kind)
    found = open_checkpoint(tmp_path / "m", need_tokenizer=False)
    assert found.config == config
    expected = random_checkpoint(config)
    read = found.tensors("codec_model.")
    assert read.keys() == {
        name.removeprefix("codec_model.") for name in expected if name.startswith("codec_model.")
    }
    for name, array in read.items():
        # EnCodec's convolutions are stored as a direction and a length.
        np.testing.assert_allclose(array, expected[f"codec_model.{name}"], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", CODECS)
def test_backends_decode_encode_and_stream(kind: str, backend: str, tmp_path: Path) -> None:
    config = _saved(tmp_path / "m", kind)
    opened = open_checkpoint(tmp_path / "m", need_tokenizer=False)
    loaded = (TorchBackend if backend == "torch" else NativeBackend).load(opened, threads=1)
    assert isinstance(loaded, StreamingBackend)
    codes = np.random.default_rng(0).integers(0, 32, (8, 50))
    whole = loaded.codec_decode(codes)
    assert whole.shape == (50 * config.codec.hop_length,) and np.isfinite(whole).all()
    stream = open_codec_stream(loaded)
    assert stream.lookahead == codec_lookahead(config.codec)
    found = np.concatenate(
        [stream.push(codes[:, :31]), stream.push(codes[:, 31:]), stream.finish()]
    )
    np.testing.assert_allclose(found, whole, atol=1e-4 * np.abs(whole).max())
    assert loaded.codec_encode(whole, 8).shape == codes.shape

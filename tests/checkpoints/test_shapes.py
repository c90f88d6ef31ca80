"""`expected_shapes` is the one list of key names: it equals the modules' own, for every kind of checkpoint."""

from __future__ import annotations

from dataclasses import replace

import pytest

from openbark.checkpoints import expected_shapes, random_checkpoint
from openbark.checkpoints.layouts.shapes import fine_head_aliases, weight_normed
from openbark.config import (
    BarkConfig,
    EncodecConfig,
    FineGPTConfig,
    GPTConfig,
    HarmonicCodecConfig,
    IstftCodecConfig,
    SemanticEncoderConfig,
)

torch = pytest.importorskip("torch")

from openbark.backends.torch.encodec import Encodec  # noqa: E402
from openbark.backends.torch.fine import FineGPT  # noqa: E402
from openbark.backends.torch.gpt import CausalGPT  # noqa: E402
from openbark.backends.torch.harmonic import HarmonicCodec  # noqa: E402
from openbark.backends.torch.istft import IstftCodec  # noqa: E402
from openbark.backends.torch.semantic_encoder import SemanticEncoder  # noqa: E402

TINY = BarkConfig.tiny()
WIDE = replace(
    TINY,
    semantic=GPTConfig(64, 200, 110, n_layer=3, n_head=1, n_embd=20, bias=True),
    coarse=GPTConfig(72, 180, 180, n_layer=1, n_head=4, n_embd=12, bias=False),
    fine=FineGPTConfig(32, 36, 36, n_layer=1, n_head=2, n_embd=8, bias=True, n_codes_given=2),
)
ENCODECS = [
    EncodecConfig(),
    EncodecConfig(norm_type="time_group_norm", num_residual_layers=2, use_conv_shortcut=False),
    EncodecConfig(upsampling_ratios=(3, 2), num_lstm_layers=1, compress=4, kernel_size=5),
]
ISTFTS = [IstftCodecConfig(), IstftCodecConfig(subframes=1, decoder_layers=2, kernel_size=3)]
HARMONICS = [
    HarmonicCodecConfig(),
    HarmonicCodecConfig(subframes=2, filter_layers=3, n_bands=40, n_fft=1024, kernel_size=5),
]
ENCODERS = [
    SemanticEncoderConfig(),
    SemanticEncoderConfig(n_layer=1, dim=8),
    SemanticEncoderConfig(n_layer=2, dim=8, pitch_bins=1, vocab_size=50),
    SemanticEncoderConfig(vocab_size=1278, pitch_bins=6),
]


def _part(config: BarkConfig, prefix: str) -> dict[str, tuple[int, ...]]:
    shapes = expected_shapes(config)
    return {
        name.removeprefix(prefix): shape
        for name, shape in shapes.items()
        if name.startswith(prefix)
    }


def _state(module: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


@pytest.mark.parametrize("config", [TINY, WIDE], ids=["tiny", "wide"])
def test_transformers(config: BarkConfig) -> None:
    assert _part(config, "semantic.") == _state(CausalGPT(config.semantic))
    assert _part(config, "coarse_acoustics.") == _state(CausalGPT(config.coarse))
    assert _part(config, "fine_acoustics.") == _state(FineGPT(config.fine))


@pytest.mark.parametrize("codec", ENCODECS)
def test_encodec(codec: EncodecConfig) -> None:
    config = replace(TINY, codec=codec, codebook_size=32)
    with torch.device("meta"):
        module = Encodec(codec)
    assert _part(config, "codec_model.") == _state(module)
    plain = {name.removeprefix("codec_model.") for name in weight_normed(config)}
    convolutions = {
        f"{name}.weight"
        for name, child in module.named_modules()
        if isinstance(child, (torch.nn.Conv1d, torch.nn.ConvTranspose1d))
    }
    assert plain == (convolutions if codec.norm_type == "weight_norm" else set())


@pytest.mark.parametrize("codec", ISTFTS)
def test_istft(codec: IstftCodecConfig) -> None:
    assert _part(replace(TINY, codec=codec), "codec_model.") == _state(IstftCodec(codec))


@pytest.mark.parametrize("codec", HARMONICS)
def test_harmonic(codec: HarmonicCodecConfig) -> None:
    assert _part(replace(TINY, codec=codec), "codec_model.") == _state(HarmonicCodec(codec))


@pytest.mark.parametrize("encoder", ENCODERS)
def test_semantic_encoder(encoder: SemanticEncoderConfig) -> None:
    config = replace(TINY, semantic_encoder=encoder)
    assert _part(config, "semantic_encoder.") == _state(SemanticEncoder(encoder))


def test_published_sizes() -> None:
    """Parameter counts and key counts of suno/bark-small (parity M1, C2)."""
    shapes = expected_shapes(BarkConfig())

    def millions(prefix: str) -> float:
        sizes = [
            torch.Size(shape).numel() for name, shape in shapes.items() if name.startswith(prefix)
        ]
        return round(sum(sizes) / 1e6, 1)

    assert millions("semantic.") == 193.0
    assert millions("coarse_acoustics.") == 104.3
    assert millions("fine_acoustics.") == 92.2
    codebooks = 32 * 1024 * 128 / 1e6
    assert millions("codec_model.") == round(14.85 + codebooks, 1)
    n_codec = sum(name.startswith("codec_model.") for name in shapes)
    assert n_codec + len(weight_normed(BarkConfig())) + 3 * 32 == 252
    n_causal = sum(name.startswith("semantic.") for name in shapes)
    assert n_causal + BarkConfig().semantic.n_layer == 88
    n_fine = sum(name.startswith("fine_acoustics.") for name in shapes)
    assert n_fine + len(fine_head_aliases(BarkConfig().fine)) == 114


def test_random_checkpoint_has_them_all_and_is_reproducible() -> None:
    first, second, other = (random_checkpoint(TINY, seed) for seed in (3, 3, 4))
    assert {name: array.shape for name, array in first.items()} == expected_shapes(TINY)
    assert all((first[name] == second[name]).all() for name in first)
    assert not any((first[name] == other[name]).all() for name in first)
    assert all(array.dtype == "float32" for array in first.values())

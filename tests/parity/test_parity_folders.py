"""A folder saved by either side loads in the other, and EnCodec gives the same numbers in both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import BarkConfig as TransformersConfig
from transformers import BarkModel, GenerationConfig
from transformers_oracle import GREEDY

from openbark.backends.torch.backend import TorchBackend
from openbark.checkpoints import open_checkpoint, random_checkpoint, save_checkpoint
from openbark.checkpoints.layouts.config_json import config_json
from openbark.checkpoints.layouts.generation_json import generation_json
from openbark.config import BarkConfig, EncodecConfig
from openbark.params import SUNO_PARAMS
from openbark.stages.reference import reference_coarse, reference_fine, reference_semantic
from openbark.stages.sampling import Noise

TINY = BarkConfig.tiny()
CODEC = TINY.codec
assert isinstance(CODEC, EncodecConfig)

CODECS: dict[str, EncodecConfig] = {
    "plain": CODEC,
    "other ratios": replace(CODEC, upsampling_ratios=(3, 5), target_bandwidths=(8.0, 64.0)),
    "non-causal": replace(CODEC, use_causal_conv=False),
    "three residual layers": replace(CODEC, num_residual_layers=3, dilation_growth_rate=3),
    "identity shortcut": replace(CODEC, use_conv_shortcut=False, compress=4, num_lstm_layers=1),
    "trim both sides": replace(CODEC, trim_right_ratio=0.5, pad_mode="constant"),
    "group norm": replace(CODEC, norm_type="time_group_norm"),
    "other kernels": replace(CODEC, kernel_size=5, last_kernel_size=3, residual_kernel_size=5),
    "published strides and depth": EncodecConfig(
        num_filters=4, hidden_size=16, codebook_dim=16, codebook_size=32, target_bandwidths=(3.0,)
    ),
}


def transformers_model(config: BarkConfig, seed: int = 0) -> BarkModel:
    """A BarkModel from a config of ours, every tensor random: lengths of weight norm are not those of v."""
    torch.manual_seed(seed)
    model = BarkModel(TransformersConfig.from_dict(config_json(config, "float32"))).eval()
    for name, tensor in [*model.named_parameters(), *model.codec_model.named_buffers()]:
        if "embed" in name:
            torch.nn.init.normal_(tensor, std=0.3)
        elif "original0" in name:
            torch.nn.init.uniform_(tensor, 0.5, 1.0)
        elif tensor.ndim == 1 and "bias" not in name and "codebook" not in name:
            torch.nn.init.uniform_(tensor, 0.8, 1.2)
        elif tensor.ndim == 1 and "bias" in name:
            torch.nn.init.normal_(tensor, std=0.05)
    model.generation_config = GenerationConfig(**generation_json(config, SUNO_PARAMS))
    return model


def assert_same_codes(model: BarkModel, latent: torch.Tensor, found: Any, expected: Any) -> None:
    """Codes [K, F] equal, except where transformers' own two best entries are within rounding."""
    residual = latent[0].T
    undecided = torch.zeros(residual.shape[0], dtype=torch.bool)
    for k in range(expected.shape[0]):
        table = model.codec_model.quantizer.layers[k].codebook.embed
        best = torch.cdist(residual[None], table[None])[0].topk(2, largest=False).values
        undecided |= best[:, 1] - best[:, 0] < 1e-4
        different = torch.from_numpy(found[k] != expected[k])
        assert not (different & ~undecided).any(), f"codebook {k}"
        residual = residual - table[torch.from_numpy(expected[k])]
    assert undecided.float().mean() < 0.1


@pytest.mark.parametrize("name", CODECS)
def test_encodec_equals_transformers(tmp_path: Path, name: str) -> None:
    codec = CODECS[name]
    config = replace(TINY, codec=codec)
    model = transformers_model(config)
    model.save_pretrained(tmp_path / name)
    backend = TorchBackend.load(open_checkpoint(tmp_path / name, need_tokenizer=False), threads=1)
    assert backend.config.codec == codec
    for length in (1, 3, codec.hop_length - 1, codec.hop_length, 3001):
        waveform = np.random.default_rng(length).normal(0, 0.3, length).astype(np.float32)
        batch = torch.from_numpy(waveform)[None, None]
        with torch.no_grad():
            latent = model.codec_model.encoder(batch)
            bandwidth = codec.target_bandwidths[-1]
            expected = model.codec_model.encode(batch, bandwidth=bandwidth).audio_codes[0, 0]
            decoded = model.codec_model.decode(expected[None, None], [None]).audio_values[0, 0]
        codec_module = backend._codec
        with torch.no_grad():
            ours = codec_module.encode_latent(batch[:, 0]).transpose(1, 2)
        assert ours.shape == latent.shape
        assert (ours - latent).abs().max() < 1e-5
        found = backend.codec_encode(waveform, codec.n_codebooks)
        assert_same_codes(model, latent, found, expected.numpy())
        assert np.abs(backend.codec_decode(expected.numpy()) - decoded.numpy()).max() < 1e-5


@pytest.mark.parametrize("n_codebooks", [1, 2, 7])
def test_decoding_fewer_codebooks(tmp_path: Path, n_codebooks: int) -> None:
    model = transformers_model(TINY)
    model.save_pretrained(tmp_path / "m")
    backend = TorchBackend.load(open_checkpoint(tmp_path / "m", need_tokenizer=False), threads=1)
    codes = np.random.default_rng(0).integers(0, TINY.codebook_size, (n_codebooks, 21))
    with torch.no_grad():
        latent = model.codec_model.quantizer.decode(torch.from_numpy(codes)[:, None])
        expected = model.codec_model.decoder(latent)[0, 0].numpy()
    assert np.abs(backend.codec_decode(codes) - expected).max() < 1e-5


def _tokens_and_waveform(backend: TorchBackend) -> tuple[list[int], list[list[int]], Any]:
    text = np.arange(9)
    semantic, _ = reference_semantic(backend, text, None, GREEDY, Noise(0))
    coarse = reference_coarse(backend, semantic, None, None, GREEDY, Noise(0))
    fine = reference_fine(backend, coarse, None, GREEDY, Noise(0))
    return semantic.tolist(), fine.tolist(), backend.codec_decode(fine)


def _load(folder: Path, dtype: str = "float64") -> TorchBackend:
    return TorchBackend.load(open_checkpoint(folder, need_tokenizer=False), dtype=dtype, threads=1)


@pytest.fixture(scope="module")
def saved_by_transformers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("hf") / "one"
    transformers_model(TINY, seed=2).save_pretrained(folder)
    return folder


def test_config_survives_transformers(saved_by_transformers: Path) -> None:
    checkpoint = open_checkpoint(saved_by_transformers, need_tokenizer=False)
    # transformers drops keys it does not know from the sub-configs only; our block stays.
    assert checkpoint.config == TINY
    assert checkpoint.defaults == SUNO_PARAMS


def test_shards_equal_one_file(saved_by_transformers: Path, tmp_path: Path) -> None:
    model = BarkModel.from_pretrained(saved_by_transformers)
    model.save_pretrained(tmp_path / "shards", max_shard_size="60KB")
    assert not (tmp_path / "shards" / "model.safetensors").exists()
    whole, shards = _load(saved_by_transformers), _load(tmp_path / "shards")
    first, second = _tokens_and_waveform(whole), _tokens_and_waveform(shards)
    assert first[:2] == second[:2]
    assert np.array_equal(first[2], second[2])


def test_written_again_it_loads_in_transformers(
    saved_by_transformers: Path, tmp_path: Path
) -> None:
    """transformers -> OpenBark -> folder -> transformers: every weight comes back, none is missing."""
    checkpoint = open_checkpoint(saved_by_transformers, need_tokenizer=False)
    again = save_checkpoint(
        tmp_path / "again", checkpoint.config, checkpoint.tensors(""), checkpoint.defaults, None
    )
    before = BarkModel.from_pretrained(saved_by_transformers).eval()
    after, report = BarkModel.from_pretrained(again, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    assert not report["mismatched_keys"]
    state = after.state_dict()
    for name, tensor in before.state_dict().items():
        if "parametrizations" in name or "cluster_size" in name or "embed_avg" in name:
            continue
        assert torch.equal(tensor, state[name]), name
    codes = torch.randint(0, 32, (8, 1, 20), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        first = before.codec_model.decoder(before.codec_model.quantizer.decode(codes))
        second = after.eval().codec_model.decoder(after.codec_model.quantizer.decode(codes))
    assert (first - second).abs().max() < 1e-5


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_read_as_float32(
    saved_by_transformers: Path, tmp_path: Path, dtype: str
) -> None:
    model = BarkModel.from_pretrained(saved_by_transformers, dtype=getattr(torch, dtype))
    model.save_pretrained(tmp_path / dtype)
    checkpoint = open_checkpoint(tmp_path / dtype, need_tokenizer=False)
    state = model.state_dict()
    tensors = checkpoint.tensors("semantic.")
    for name, array in tensors.items():
        assert array.dtype == np.float32
        assert np.array_equal(array, state[f"semantic.{name}"].float().numpy()), name


def test_C2_older_spelling_of_weight_norm(saved_by_transformers: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    old = tmp_path / "old"
    old.mkdir()
    for name in ("config.json", "generation_config.json"):
        (old / name).write_bytes((saved_by_transformers / name).read_bytes())
    spelled = {
        name.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): tensor
        for name, tensor in load_file(saved_by_transformers / "model.safetensors").items()
    }
    assert any(name.endswith("weight_g") for name in spelled)
    save_file(spelled, old / "model.safetensors")
    new = open_checkpoint(saved_by_transformers, need_tokenizer=False).tensors("codec_model.")
    for name, array in open_checkpoint(old, need_tokenizer=False).tensors("codec_model.").items():
        assert np.array_equal(array, new[name])


def test_float16_folder_of_ours_loads_in_transformers(tmp_path: Path) -> None:
    tensors = random_checkpoint(TINY, seed=4)
    folder = save_checkpoint(tmp_path / "half", TINY, tensors, SUNO_PARAMS, None, "float16")
    model, report = BarkModel.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    backend = _load(folder, "float32")
    codes = np.random.default_rng(0).integers(0, 32, (8, 30))
    with torch.no_grad():
        latent = model.codec_model.quantizer.decode(torch.from_numpy(codes)[:, None])
        expected = model.eval().codec_model.decoder(latent)[0, 0].numpy()
    assert np.abs(backend.codec_decode(codes) - expected).max() < 1e-5

"""config.json and generation_config.json: what they mean, what they may lack, what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from openbark.checkpoints.formats.json_file import read_json
from openbark.checkpoints.layouts.config_json import config_json, read_sizes
from openbark.checkpoints.layouts.generation_json import assemble, generation_json, read_defaults
from openbark.config import (
    BarkConfig,
    EncodecConfig,
    HarmonicCodecConfig,
    IstftCodecConfig,
    SemanticEncoderConfig,
)
from openbark.errors import (
    CheckpointCorruptError,
    CheckpointNotFoundError,
    CheckpointUnsupportedError,
)
from openbark.params import SUNO_PARAMS, GenerationParams, SamplingParams

FILE = Path("folder/config.json")
GENERATION = Path("folder/generation_config.json")
TINY = BarkConfig.tiny()
EMBEDDED = replace(
    TINY,
    codec=IstftCodecConfig(codebook_size=32),
    semantic_encoder=SemanticEncoderConfig(vocab_size=100, pitch_bins=4),
    text_normalizer="en",
    name="small voice",
    languages=("en", "de"),
)

HARMONIC = replace(
    EMBEDDED,
    codec=HarmonicCodecConfig(codebook_size=32),
    semantic_encoder=SemanticEncoderConfig(vocab_size=1278, pitch_bins=6),
)


def _through_json(values: dict[str, Any]) -> dict[str, Any]:
    again: dict[str, Any] = json.loads(json.dumps(values))
    return again


def _read(values: dict[str, Any], generation: dict[str, Any] | None) -> BarkConfig:
    return assemble(read_sizes(values, FILE), generation, GENERATION)


@pytest.mark.parametrize(
    "config",
    [TINY, EMBEDDED, HARMONIC, BarkConfig()],
    ids=["tiny", "istft", "harmonic", "suno"],
)
def test_round_trip(config: BarkConfig) -> None:
    values = _through_json(config_json(config, "float32"))
    generation = _through_json(generation_json(config, SUNO_PARAMS))
    assert _read(values, generation) == config
    assert read_defaults(generation, GENERATION) == SUNO_PARAMS


PUBLISHED = {
    # What suno/bark-small's config.json says of itself, in its older wording (parity C2).
    "model_type": "bark",
    "semantic_config": {
        "block_size": 1024,
        "input_vocab_size": 129600,
        "output_vocab_size": 10048,
        "num_layers": 12,
        "num_heads": 12,
        "hidden_size": 768,
        "bias": False,
        "top_k": 50,
        "model_type": "semantic",
    },
    "coarse_acoustics_config": {
        "window_size": 1024,
        "vocab_size": 12096,
        "output_vocab_size": 12096,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "hidden_size": 768,
        "bias": False,
    },
    "fine_acoustics_config": {
        "input_vocab_size": 1056,
        "output_vocab_size": 1056,
        "bias": False,
    },
    "codec_config": {"model_type": "encodec", "codebook_dim": None},
}


def test_published_sizes_need_no_generation_config() -> None:
    assert _read(PUBLISHED, None) == BarkConfig()
    assert _read(PUBLISHED, {"semantic_config": {"max_new_tokens": 100}}) == replace(
        BarkConfig(), semantic_rules=replace(BarkConfig().semantic_rules, max_new_tokens=100)
    )
    assert read_defaults(None, GENERATION) == SUNO_PARAMS


def test_other_sizes_need_every_rule() -> None:
    values = config_json(TINY, "float32")
    with pytest.raises(CheckpointNotFoundError, match=r"generation_config\.json does not exist"):
        _read(values, None)
    generation = generation_json(TINY, SUNO_PARAMS)
    del generation["semantic_config"]["semantic_rate_hz"]
    del generation["fine_acoustics_config"]["max_fine_history_length"]
    with pytest.raises(CheckpointCorruptError) as caught:
        _read(values, generation)
    message = str(caught.value)
    assert "semantic_config.semantic_rate_hz" in message
    assert "fine_acoustics_config.max_fine_history_length" in message


def test_absent_sizes_take_the_defaults_of_transformers() -> None:
    sizes = read_sizes({"model_type": "bark"}, FILE)
    assert (sizes.semantic.input_vocab_size, sizes.semantic.n_layer) == (10_048, 12)
    assert sizes.semantic.bias
    assert sizes.codec.frame_rate == 75


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        # Published (parity B1, C2): top_k 50 counts, min_eos_p is absent and Suno's holds.
        (
            {"do_sample": True, "temperature": 0.7, "top_k": 50, "top_p": 1.0},
            SamplingParams(0.7, 50, 1.0, 0.2),
        ),
        ({"do_sample": True, "temperature": 0.4, "top_k": 0}, SamplingParams(0.4, None, None, 0.2)),
        ({"do_sample": True, "min_eos_p": None}, SamplingParams(1.0, None, None, None)),
        ({"do_sample": True, "min_eos_p": 0.05}, SamplingParams(1.0, None, None, 0.05)),
        ({"do_sample": False, "temperature": 1.0, "top_k": 50}, SUNO_PARAMS.semantic),
        ({}, SUNO_PARAMS.semantic),
    ],
)
def test_default_sampling(section: dict[str, Any], expected: SamplingParams) -> None:
    assert read_defaults({"semantic_config": section}, GENERATION).semantic == expected


@pytest.mark.parametrize(
    ("section", "temperature"),
    [
        ({"temperature": 0.5}, 0.5),
        ({"temperature": 0.3}, 0.3),
        ({"temperature": 1.0}, 0.5),
        ({"temperature": None}, 0.5),
        ({}, 0.5),
        ({"temperature": 1.0, "do_sample": True}, 1.0),
    ],
)
def test_default_sampling_of_the_fine_stage(section: dict[str, Any], temperature: float) -> None:
    fine = read_defaults({"fine_acoustics_config": section}, GENERATION).fine
    assert fine is not None
    assert fine.temperature == temperature


@pytest.mark.parametrize(
    "defaults",
    [
        GenerationParams(
            SamplingParams(0.3, 20, 0.9, None), SamplingParams(1.0), SamplingParams(1.0, 5, 0.5)
        ),
        GenerationParams.greedy(),
        GenerationParams(semantic=SamplingParams(0.2, min_eos_p=0.6)),
    ],
)
def test_default_sampling_round_trip(defaults: GenerationParams) -> None:
    generation = _through_json(generation_json(TINY, defaults))
    assert read_defaults(generation, GENERATION) == defaults.resolve(SUNO_PARAMS)


def _changed(path: str, value: Any) -> dict[str, Any]:
    start, _, place = path.rpartition(":")
    config = {"istft": EMBEDDED, "harmonic": HARMONIC}.get(start, TINY)
    values = _through_json(config_json(config, "float32"))
    *parents, key = place.split(".")
    target = values
    for parent in parents:
        target = target[parent]
    target[key] = value
    return values


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("semantic_config.num_heads", "two", r"semantic_config\.num_heads must be a whole number"),
        ("semantic_config.num_heads", 3, "multiple of n_head"),
        ("semantic_config.num_layers", True, "whole number"),
        ("semantic_config.bias", 1, "true or false"),
        ("coarse_acoustics_config", 5, "must be an object"),
        ("codec_config.upsampling_ratios", 8, "must be a list"),
        ("codec_config.codebook_dim", 4, "must equal hidden_size"),
        ("fine_acoustics_config.output_vocab_size", 40, "tied"),
        ("istft:codec_config.subframes", 7, "multiple of subframes"),
        ("istft:codec_config.n_fft", 961, "n_fft is 961; allowed: multiples of the 240"),
        ("istft:codec_config.n_fft", 240, "from 480 on"),
        ("harmonic:codec_config.subframes", 32, "multiple of twice subframes"),
        ("harmonic:codec_config.n_fft", 240, "must exceed two filter frames"),
        ("harmonic:codec_config.n_bands", 4000, "too many for an n_fft of 512"),
        ("harmonic:codec_config.pitch_bins", 1022, "exceed the 1025 bins"),
        ("harmonic:codec_config.pitch_n_fft", 300, "pitch_n_fft is 300; allowed: 480"),
        ("harmonic:codec_config.sampling_rate", 1199, r"sampling_rate is 1199; allowed: 1200 to"),
        ("harmonic:codec_config.filter_layers", 0, "filter_layers is 0"),
        ("harmonic:codec_config.filter_dim", -1, "filter_dim must be positive"),
        ("harmonic:openbark.semantic_encoder.pitch_bins", 5, "multiple of pitch_bins"),
    ],
)
def test_wrong_values_are_named_with_their_file(path: str, value: Any, message: str) -> None:
    with pytest.raises(CheckpointCorruptError, match=message) as caught:
        read_sizes(_changed(path, value), FILE)
    assert str(FILE) in str(caught.value)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("model_type", "gpt2", "'gpt2'.*'bark'"),
        ("codec_config.model_type", "dac", "known codecs: encodec, harmonic, istft"),
        ("codec_config.normalize", True, "normalize"),
        ("codec_config.audio_channels", 2, "audio_channels"),
        ("codec_config.chunk_length_s", 1.0, "chunk_length_s"),
        ("codec_config.pad_mode", "circular", "'reflect'"),
        ("codec_config.norm_type", "layer_norm", "weight_norm"),
        ("fine_acoustics_config.tie_word_embeddings", False, "tie_word_embeddings"),
        ("openbark.voices", {}, r"openbark\.voices is not known"),
        ("istft:codec_config.n_harmonics", 3, "n_harmonics is not known"),
        ("harmonic:codec_config.n_bins", 3, "n_bins is not known"),
        ("istft:openbark.semantic_encoder.heads", 3, "heads is not known"),
    ],
)
def test_unsupported_models_are_refused(path: str, value: Any, message: str) -> None:
    with pytest.raises(CheckpointUnsupportedError, match=message):
        read_sizes(_changed(path, value), FILE)


@pytest.mark.parametrize("number", [1 << 17, 1 << 40, 10**400])
@pytest.mark.parametrize(
    "path",
    [
        "istft:codec_config.mel_n_fft",
        "istft:codec_config.n_fft",
        "harmonic:codec_config.mel_n_fft",
        "harmonic:codec_config.n_fft",
        "harmonic:codec_config.pitch_n_fft",
        "harmonic:openbark.semantic_encoder.mel_n_fft",
    ],
)
def test_lengths_that_no_tensor_confirms_are_bounded(path: str, number: int) -> None:
    """What reads them would ask for as much memory as they say."""
    name = path.rpartition(".")[2]
    with pytest.raises(CheckpointCorruptError, match=rf"{name} is .*; allowed: "):
        read_sizes(_changed(path, number), FILE)


@pytest.mark.parametrize(
    "codec", [EncodecConfig, IstftCodecConfig, HarmonicCodecConfig, SemanticEncoderConfig]
)
def test_impossible_rates_are_refused(codec: type[Any]) -> None:
    for rate in (0, -1, 2_000_000, 10**400):
        with pytest.raises(CheckpointCorruptError, match="sampling_rate"):
            codec(sampling_rate=rate)


@pytest.mark.parametrize("codec", [IstftCodecConfig, HarmonicCodecConfig, SemanticEncoderConfig])
def test_frames_that_the_networks_cannot_read_are_refused(codec: type[Any]) -> None:
    with pytest.raises(CheckpointCorruptError, match=r"kernel_size is 4; allowed: odd"):
        codec(kernel_size=4)
    with pytest.raises(CheckpointCorruptError, match=r"mel_n_fft is 40; allowed: (120|240)\.\."):
        codec(mel_n_fft=40)
    with pytest.raises(CheckpointCorruptError, match=r"hop_length is .*; allowed"):
        codec(hop_length=1 << 21)


def test_contradictions_name_the_folder() -> None:
    generation = generation_json(TINY, SUNO_PARAMS)
    generation["coarse_acoustics_config"]["max_coarse_history"] = 500
    with pytest.raises(CheckpointCorruptError, match=r"folder: config: coarse windows"):
        _read(config_json(TINY, "float32"), generation)


def test_default_sampling_is_checked() -> None:
    section = {"do_sample": True, "temperature": -1.0}
    with pytest.raises(CheckpointCorruptError, match="temperature is -1"):
        read_defaults({"semantic_config": section}, GENERATION)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1,\n "b": }', "line 2 column 7"),
        (b"", "line 1 column 1"),
        (b"[1]", "must hold a JSON object"),
        (b'{"a": "\xff"}', "byte 7 is not text"),
    ],
)
def test_broken_json_says_where(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(CheckpointCorruptError, match=message) as caught:
        read_json(path)
    assert str(path) in str(caught.value)

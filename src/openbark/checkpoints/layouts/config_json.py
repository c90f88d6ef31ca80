"""config.json of a Hugging Face Bark folder <-> the sizes in `BarkConfig` (docs/parity.md H1-H3, C2).

Absent keys take the defaults of transformers' own config classes, which are not the published sizes. What
the Hugging Face layout has no place for stands in a block of ours:

    "openbark": {"name": str, "languages": [str], "text_normalizer": str,
                 "semantic_encoder": {fields of SemanticEncoderConfig}}

and `codec_config.model_type` may be "istft" or "harmonic", besides "encodec". The token layout and the windows are in the
other file, `generation_json`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from openbark.checkpoints.formats.json_file import Section
from openbark.config import (
    BarkConfig,
    CodecConfig,
    EncodecConfig,
    FineGPTConfig,
    GPTConfig,
    HarmonicCodecConfig,
    IstftCodecConfig,
    SemanticEncoderConfig,
)
from openbark.errors import CheckpointCorruptError, CheckpointUnsupportedError
from openbark.text.reader import NORMALIZERS

_CODECS = ("encodec", "harmonic", "istft")
_PAD_MODES = ("constant", "reflect", "replicate")
_NORM_TYPES = ("time_group_norm", "weight_norm")
_BLOCK = ("languages", "name", "semantic_encoder", "text_normalizer")

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class ModelSizes:
    """What config.json says: the parts of a `BarkConfig` that are not rules."""

    semantic: GPTConfig
    coarse: GPTConfig
    fine: FineGPTConfig
    codec: CodecConfig
    semantic_encoder: SemanticEncoderConfig | None
    text_normalizer: str
    name: str
    languages: tuple[str, ...]


def read_sizes(values: dict[str, Any], file: Path) -> ModelSizes:
    """Parse the contents of config.json; `file` is named in errors.

    Raises CheckpointUnsupportedError for a model that is not a Bark or has a codec we do not know,
    CheckpointCorruptError for a key of the wrong type or an impossible size.
    """
    section = Section(file, "", values)
    kind = section.text("model_type", default="(absent)")
    if kind != "bark":
        raise CheckpointUnsupportedError(
            f"{file}: model_type is {kind!r}, OpenBark reads 'bark'; "
            "point to the folder of a Bark model, such as suno/bark-small"
        )
    block = section.sub("openbark")
    _refuse_unknown(block, _BLOCK)
    encoder = block.sub("semantic_encoder") if block.has("semantic_encoder") else None
    return ModelSizes(
        semantic=_named(file, lambda: _gpt(section.sub("semantic_config"))),
        coarse=_named(file, lambda: _gpt(section.sub("coarse_acoustics_config"))),
        fine=_named(file, lambda: _fine(section.sub("fine_acoustics_config"))),
        codec=_named(file, lambda: _codec(section.sub("codec_config"))),
        semantic_encoder=None
        if encoder is None
        else _named(file, lambda: _exact(SemanticEncoderConfig, encoder)),
        text_normalizer=_normalizer(block),
        name=block.text("name", default="bark"),
        languages=tuple(str(language) for language in block.items("languages", default=())),
    )


def _normalizer(block: Section) -> str:
    name = block.text("text_normalizer", default="none")
    if name not in NORMALIZERS:
        raise CheckpointUnsupportedError(
            f"{block.file}: {block.where}text_normalizer is {name[:80]!r}; this version of openbark has: "
            f"{', '.join(NORMALIZERS)}"
        )
    return name


def config_json(config: BarkConfig, dtype: str) -> dict[str, Any]:
    """The contents of config.json for `config`, with tensors stored as `dtype`."""
    block: dict[str, Any] = {
        "name": config.name,
        "languages": list(config.languages),
        "text_normalizer": config.text_normalizer,
    }
    if config.semantic_encoder is not None:
        block["semantic_encoder"] = asdict(config.semantic_encoder)
    fine = _gpt_json(config.fine, "fine_acoustics") | {
        "n_codes_total": config.fine.n_codes_total,
        "n_codes_given": config.fine.n_codes_given,
        "tie_word_embeddings": True,
    }
    return {
        "architectures": ["BarkModel"],
        "model_type": "bark",
        "dtype": dtype,
        "initializer_range": 0.02,
        "semantic_config": _gpt_json(config.semantic, "semantic"),
        "coarse_acoustics_config": _gpt_json(config.coarse, "coarse_acoustics"),
        "fine_acoustics_config": fine,
        "codec_config": _codec_json(config.codec),
        "openbark": block,
    }


def _named(file: Path, parse: Callable[[], _T]) -> _T:
    """Run `parse`; the config classes do not know the file, so put it before their complaints."""
    try:
        return parse()
    except CheckpointCorruptError as error:
        if str(file) in str(error):
            raise
        raise CheckpointCorruptError(f"{file}: {error}") from error


def _gpt_fields(section: Section) -> dict[str, Any]:
    return {
        "block_size": section.integer("block_size", "window_size", default=1024),
        "input_vocab_size": section.integer("input_vocab_size", "vocab_size", default=10_048),
        "output_vocab_size": section.integer("output_vocab_size", default=10_048),
        "n_layer": section.integer("num_layers", "num_hidden_layers", default=12),
        "n_head": section.integer("num_heads", "num_attention_heads", default=12),
        "n_embd": section.integer("hidden_size", default=768),
        "bias": section.boolean("bias", default=True),
        "dropout": section.number("dropout", default=0.0),
    }


def _gpt(section: Section) -> GPTConfig:
    return GPTConfig(**_gpt_fields(section))


def _fine(section: Section) -> FineGPTConfig:
    if not section.boolean("tie_word_embeddings", default=True):
        raise CheckpointUnsupportedError(
            f"{section.file}: {section.where}tie_word_embeddings is false; "
            "only fine models whose heads are their embeddings are known"
        )
    config = FineGPTConfig(
        **_gpt_fields(section),
        n_codes_total=section.integer("n_codes_total", default=8),
        n_codes_given=section.integer("n_codes_given", default=1),
    )
    if config.input_vocab_size != config.output_vocab_size:
        raise CheckpointCorruptError(
            f"{section.where}input_vocab_size {config.input_vocab_size} must equal "
            f"output_vocab_size {config.output_vocab_size}: heads and embeddings are tied"
        )
    return config


def _gpt_json(config: GPTConfig, model_type: str) -> dict[str, Any]:
    return {
        "model_type": model_type,
        "block_size": config.block_size,
        "input_vocab_size": config.input_vocab_size,
        "output_vocab_size": config.output_vocab_size,
        "num_layers": config.n_layer,
        "num_heads": config.n_head,
        "hidden_size": config.n_embd,
        "bias": config.bias,
        "dropout": config.dropout,
        "initializer_range": 0.02,
        "use_cache": True,
    }


def _codec(section: Section) -> CodecConfig:
    kind = section.text("model_type", default="encodec")
    if kind not in _CODECS:
        raise CheckpointUnsupportedError(
            f"{section.file}: {section.where}model_type is {kind!r}; known codecs: {', '.join(_CODECS)}"
        )
    if kind == "istft":
        return _exact(IstftCodecConfig, section)
    if kind == "harmonic":
        return _exact(HarmonicCodecConfig, section)
    _refuse_encodec_variants(section)
    plain = EncodecConfig()
    hidden_size = section.integer("hidden_size", default=plain.hidden_size)
    config = EncodecConfig(
        sampling_rate=section.integer("sampling_rate", default=plain.sampling_rate),
        audio_channels=section.integer("audio_channels", default=plain.audio_channels),
        target_bandwidths=section.numbers("target_bandwidths", plain.target_bandwidths),
        hidden_size=hidden_size,
        num_filters=section.integer("num_filters", default=plain.num_filters),
        num_residual_layers=section.integer(
            "num_residual_layers", default=plain.num_residual_layers
        ),
        upsampling_ratios=section.integers("upsampling_ratios", plain.upsampling_ratios),
        norm_type=section.text("norm_type", default=plain.norm_type),
        kernel_size=section.integer("kernel_size", default=plain.kernel_size),
        last_kernel_size=section.integer("last_kernel_size", default=plain.last_kernel_size),
        residual_kernel_size=section.integer(
            "residual_kernel_size", default=plain.residual_kernel_size
        ),
        dilation_growth_rate=section.integer(
            "dilation_growth_rate", default=plain.dilation_growth_rate
        ),
        use_causal_conv=section.boolean("use_causal_conv", default=plain.use_causal_conv),
        pad_mode=section.text("pad_mode", default=plain.pad_mode),
        compress=section.integer("compress", default=plain.compress),
        num_lstm_layers=section.integer("num_lstm_layers", default=plain.num_lstm_layers),
        trim_right_ratio=section.number("trim_right_ratio", default=plain.trim_right_ratio),
        codebook_size=section.integer("codebook_size", default=plain.codebook_size),
        codebook_dim=section.integer("codebook_dim", default=hidden_size),
        use_conv_shortcut=section.boolean("use_conv_shortcut", default=plain.use_conv_shortcut),
    )
    if config.codebook_dim != config.hidden_size:
        raise CheckpointCorruptError(
            f"{section.where}codebook_dim {config.codebook_dim} must equal hidden_size "
            f"{config.hidden_size}: nothing projects between them"
        )
    return config


def _refuse_encodec_variants(section: Section) -> None:
    """Options of EnCodec's 48 kHz model change what a code means; Bark's codec never sets them."""
    facts: list[tuple[str, object, tuple[object, ...]]] = [
        ("normalize", section.boolean("normalize", default=False), (False,)),
        ("audio_channels", section.integer("audio_channels", default=1), (1,)),
        ("chunk_length_s", section.number("chunk_length_s", default=0.0), (0.0,)),
        ("pad_mode", section.text("pad_mode", default="reflect"), _PAD_MODES),
        ("norm_type", section.text("norm_type", default="weight_norm"), _NORM_TYPES),
    ]
    for name, value, expected in facts:
        if value not in expected:
            raise CheckpointUnsupportedError(
                f"{section.file}: {section.where}{name} is {value!r}; "
                f"supported: {', '.join(map(repr, expected))}"
            )


def _codec_json(config: CodecConfig) -> dict[str, Any]:
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in asdict(config).items()
    }


def _exact(kind: type[_T], section: Section) -> _T:
    """An own dataclass of whole numbers and one text from a section that names no others; absent keys take
    its defaults."""
    known = {item.name: item.default for item in fields(kind)}  # type: ignore[arg-type]
    _refuse_unknown(section, tuple(sorted(known)))
    values: dict[str, Any] = {}
    for name, default in known.items():
        if isinstance(default, str):
            values[name] = section.text(name, default=default)
        else:
            values[name] = section.integer(name, default=default)  # type: ignore[arg-type]
    return kind(**values)


def _refuse_unknown(section: Section, known: tuple[str, ...]) -> None:
    unknown = sorted(set(section.values) - set(known))
    if unknown:
        raise CheckpointUnsupportedError(
            f"{section.file}: {section.where}{unknown[0]} is not known (known: {', '.join(known)}); "
            "the checkpoint may come from a newer OpenBark: update it"
        )

"""Every tensor a checkpoint of a given config holds: name and shape. The one list of key names.

Names are those of the Hugging Face layout (docs/parity.md C2), weight norm folded, without what transformers stores
besides: causal masks (`*.attn.bias`), the tied fine heads, the codebooks' training statistics. The torch
modules have the same names; tests hold the two together. Knows no file.
"""

from __future__ import annotations

from collections.abc import Iterator

from openbark.config import (
    BarkConfig,
    EncodecConfig,
    FineGPTConfig,
    GPTConfig,
    HarmonicCodecConfig,
    IstftCodecConfig,
    SemanticEncoderConfig,
)

Shape = tuple[int, ...]
_Shapes = dict[str, Shape]

SEMANTIC_PREFIX = "semantic."
COARSE_PREFIX = "coarse_acoustics."
FINE_PREFIX = "fine_acoustics."
CODEC_PREFIX = "codec_model."
SEMANTIC_ENCODER_PREFIX = "semantic_encoder."


def expected_shapes(config: BarkConfig) -> _Shapes:
    """Name -> shape of every tensor of a checkpoint with this config."""
    if isinstance(config.codec, EncodecConfig):
        codec = _encodec(config.codec)
    elif isinstance(config.codec, IstftCodecConfig):
        codec = _istft(config.codec)
    else:
        codec = _harmonic(config.codec)
    shapes = (
        _prefixed(SEMANTIC_PREFIX, _causal(config.semantic))
        | _prefixed(COARSE_PREFIX, _causal(config.coarse))
        | _prefixed(FINE_PREFIX, _fine(config.fine))
        | _prefixed(CODEC_PREFIX, codec)
    )
    if config.semantic_encoder is not None:
        shapes |= _prefixed(SEMANTIC_ENCODER_PREFIX, _semantic_encoder(config.semantic_encoder))
    return shapes


def fine_head_aliases(config: FineGPTConfig) -> dict[str, str]:
    """Names under which the fine heads may be stored -> the embeddings they are tied to (S22)."""
    return {
        f"{FINE_PREFIX}lm_heads.{i}.weight": f"{FINE_PREFIX}input_embeds_layers.{i + 1}.weight"
        for i in range(config.n_codes_total - config.n_codes_given)
    }


def weight_normed(config: BarkConfig) -> frozenset[str]:
    """Tensors that the Hugging Face layout stores as a direction and a length: EnCodec's convolutions."""
    codec = config.codec
    if not isinstance(codec, EncodecConfig) or codec.norm_type != "weight_norm":
        return frozenset()
    names = _prefixed(CODEC_PREFIX, _encodec(codec))
    return frozenset(name for name in names if name.endswith(".conv.weight"))


def _prefixed(prefix: str, shapes: _Shapes) -> _Shapes:
    return {prefix + name: shape for name, shape in shapes.items()}


def _affine(name: str, shape: Shape, bias: bool = True) -> _Shapes:
    """A weight of `shape` and a bias as long as its first axis."""
    shapes = {f"{name}.weight": shape}
    if bias:
        shapes[f"{name}.bias"] = shape[:1]
    return shapes


def _transformer(config: GPTConfig, norm_bias: bool) -> _Shapes:
    width = config.n_embd
    shapes: _Shapes = {"position_embeds_layer.weight": (config.block_size, width)}
    for i in range(config.n_layer):
        block = (
            _affine("layernorm_1", (width,), norm_bias)
            | _affine("attn.att_proj", (3 * width, width), config.bias)
            | _affine("attn.out_proj", (width, width), config.bias)
            | _affine("layernorm_2", (width,), norm_bias)
            | _affine("mlp.in_proj", (4 * width, width), config.bias)
            | _affine("mlp.out_proj", (width, 4 * width), config.bias)
        )
        shapes |= _prefixed(f"layers.{i}.", block)
    return shapes | _affine("layernorm_final", (width,), norm_bias)


def _causal(config: GPTConfig) -> _Shapes:
    return {
        "input_embeds_layer.weight": (config.input_vocab_size, config.n_embd),
        **_transformer(config, norm_bias=config.bias),
        "lm_head.weight": (config.output_vocab_size, config.n_embd),
    }


def _fine(config: FineGPTConfig) -> _Shapes:
    embeddings = {
        f"input_embeds_layers.{k}.weight": (config.input_vocab_size, config.n_embd)
        for k in range(config.n_codes_total)
    }
    return embeddings | _transformer(config, norm_bias=True)


def _codebooks(count: int, size: int, dim: int) -> _Shapes:
    return {f"quantizer.layers.{k}.codebook.embed": (size, dim) for k in range(count)}


def _convolution(config: EncodecConfig, shape: Shape, outputs: int) -> _Shapes:
    """One padded convolution of SEANet; `shape` is the weight's, [out, in, k] or, transposed, [in, out, k]."""
    shapes: _Shapes = {"conv.weight": shape, "conv.bias": (outputs,)}
    if config.norm_type == "time_group_norm":
        shapes |= _affine("norm", (outputs,))
    return shapes


def _residual_blocks(config: EncodecConfig, width: int) -> Iterator[_Shapes]:
    narrow = width // config.compress
    kernel = config.residual_kernel_size
    for _ in range(config.num_residual_layers):
        shapes = _prefixed("block.1.", _convolution(config, (narrow, width, kernel), narrow))
        shapes |= _prefixed("block.3.", _convolution(config, (width, narrow, 1), width))
        if config.use_conv_shortcut:
            shapes |= _prefixed("shortcut.", _convolution(config, (width, width, 1), width))
        yield shapes


def _lstm(config: EncodecConfig, width: int) -> _Shapes:
    shapes: _Shapes = {}
    for i in range(config.num_lstm_layers):
        for side in ("ih", "hh"):
            shapes[f"lstm.weight_{side}_l{i}"] = (4 * width, width)
            shapes[f"lstm.bias_{side}_l{i}"] = (4 * width,)
    return shapes


def _seanet_encoder(config: EncodecConfig) -> Iterator[_Shapes]:
    """The layers of the encoder in order; one without weights (ELU) is empty."""
    width = config.num_filters
    yield _convolution(config, (width, config.audio_channels, config.kernel_size), width)
    for ratio in reversed(config.upsampling_ratios):
        yield from _residual_blocks(config, width)
        yield {}
        yield _convolution(config, (2 * width, width, 2 * ratio), 2 * width)
        width *= 2
    yield _lstm(config, width)
    yield {}
    last = (config.hidden_size, width, config.last_kernel_size)
    yield _convolution(config, last, config.hidden_size)


def _seanet_decoder(config: EncodecConfig) -> Iterator[_Shapes]:
    """The layers of the decoder in order; one without weights (ELU) is empty."""
    width = config.num_filters * 2 ** len(config.upsampling_ratios)
    yield _convolution(config, (width, config.hidden_size, config.kernel_size), width)
    yield _lstm(config, width)
    for ratio in config.upsampling_ratios:
        yield {}
        yield _convolution(config, (width, width // 2, 2 * ratio), width // 2)
        width //= 2
        yield from _residual_blocks(config, width)
    yield {}
    last = (config.audio_channels, width, config.last_kernel_size)
    yield _convolution(config, last, config.audio_channels)


def _encodec(config: EncodecConfig) -> _Shapes:
    shapes: _Shapes = {}
    for i, layer in enumerate(_seanet_encoder(config)):
        shapes |= _prefixed(f"encoder.layers.{i}.", layer)
    for i, layer in enumerate(_seanet_decoder(config)):
        shapes |= _prefixed(f"decoder.layers.{i}.", layer)
    return shapes | _codebooks(config.n_codebooks, config.codebook_size, config.codebook_dim)


def _convnext_block(width: int, mlp_ratio: int, kernel: int) -> _Shapes:
    return (
        _affine("depthwise", (width, 1, kernel))
        | _affine("norm", (width,))
        | _affine("up", (mlp_ratio * width, width))
        | _affine("down", (width, mlp_ratio * width))
        | {"scale": (width,)}
    )


def _convnext(inputs: int, width: int, n_layer: int, mlp_ratio: int, kernel: int) -> _Shapes:
    shapes = _affine("embed", (width, inputs, kernel)) | _affine("norm", (width,))
    for i in range(n_layer):
        shapes |= _prefixed(f"layers.{i}.", _convnext_block(width, mlp_ratio, kernel))
    return shapes | _affine("final_norm", (width,))


def _convnext_codec(config: IstftCodecConfig | HarmonicCodecConfig, features: int) -> _Shapes:
    """What both codecs of ConvNeXt stacks have; `features` is the encoder's input."""
    ratio, kernel = config.mlp_ratio, config.kernel_size
    encoder = _convnext(features, config.encoder_dim, config.encoder_layers, ratio, kernel)
    decoder = _convnext(
        config.codebook_dim, config.decoder_dim, config.decoder_layers, ratio, kernel
    )
    return (
        _prefixed("encoder.stack.", encoder)
        | _affine("encoder.project", (config.codebook_dim, config.encoder_dim))
        | _codebooks(config.n_codebooks, config.codebook_size, config.codebook_dim)
        | _prefixed("decoder.stack.", decoder)
    )


def _istft(config: IstftCodecConfig) -> _Shapes:
    head = (config.subframes * 2 * config.n_bins, config.decoder_dim)
    return _convnext_codec(config, config.n_mels * config.subframes) | _affine("decoder.head", head)


def _harmonic(config: HarmonicCodecConfig) -> _Shapes:
    width = config.filter_dim
    shapes = _convnext_codec(config, config.n_mels * config.subframes + config.pitch_bins)
    shapes |= _affine("decoder.pitch_head", (2, config.decoder_dim))
    shapes |= _affine("decoder.expand", (config.subframes * width, config.decoder_dim))
    for i in range(config.filter_layers):
        block = _convnext_block(width, config.mlp_ratio, config.kernel_size)
        shapes |= _prefixed(f"decoder.filters.{i}.", block)
    shapes |= _affine("decoder.filter_norm", (width,))
    return shapes | _affine("decoder.filter_head", (2 * config.n_bands, width))


def _semantic_encoder(config: SemanticEncoderConfig) -> _Shapes:
    n_upper = min(2, config.n_layer - 1)
    lower = _convnext(
        config.n_mels * config.subframes,
        config.dim,
        config.n_layer - n_upper,
        config.mlp_ratio,
        config.kernel_size,
    )
    shapes = _prefixed("lower.", lower) | _affine("summary", (config.dim, 2 * config.dim))
    for i in range(n_upper):
        block = _convnext_block(config.dim, config.mlp_ratio, config.kernel_size)
        shapes |= _prefixed(f"upper.{i}.", block)
    return (
        shapes
        | _affine("final_norm", (config.dim,))
        | _affine("unit_head", (config.vocab_size // config.pitch_bins, config.dim))
        | _affine("pitch_head", (config.pitch_bins, config.dim))
    )

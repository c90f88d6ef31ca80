"""The codec networks by the kind of their config."""

from __future__ import annotations

from openbark.backends.torch.encodec import Encodec
from openbark.backends.torch.harmonic import HarmonicCodec
from openbark.backends.torch.istft import IstftCodec
from openbark.config import CodecConfig, EncodecConfig, IstftCodecConfig

TorchCodec = Encodec | IstftCodec | HarmonicCodec


def build_codec(config: CodecConfig) -> TorchCodec:
    """The network of a codec, with the weights that PyTorch starts it with."""
    if isinstance(config, EncodecConfig):
        return Encodec(config)
    if isinstance(config, IstftCodecConfig):
        return IstftCodec(config)
    return HarmonicCodec(config)

"""The config classes of transformers' Bark (parity H1-H3): sizes of the three transformers and of the codec.

Their defaults are not the published sizes. Token layout and windows are in `generation_configuration`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Self, TypeVar, Unpack

from openbark.checkpoints.config_json import ModelSizes, read_sizes
from openbark.compat.transformers.attributes import NamedAttributes
from openbark.compat.transformers.locating import FromHub
from openbark.config import CodecConfig, EncodecConfig, HarmonicCodecConfig, IstftCodecConfig
from openbark.errors import ParamError

__all__ = [
    "AutoConfig",
    "BarkCoarseConfig",
    "BarkConfig",
    "BarkFineConfig",
    "BarkSemanticConfig",
    "BarkSubModelConfig",
]

_SUB_DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        "block_size": 1024,
        "input_vocab_size": 10_048,
        "output_vocab_size": 10_048,
        "num_layers": 12,
        "num_heads": 12,
        "hidden_size": 768,
        "dropout": 0.0,
        "bias": True,
        "initializer_range": 0.02,
        "use_cache": True,
        "output_attentions": False,
        "output_hidden_states": False,
        "return_dict": True,
    }
)
_FROM_ANY_CONFIG = frozenset({"architectures", "dtype", "torch_dtype", "transformers_version"})
_Sub = TypeVar("_Sub", bound="BarkSubModelConfig")


class BarkSubModelConfig(NamedAttributes):
    """Sizes of one transformer (parity H1)."""

    defaults: ClassVar[Mapping[str, Any]] = _SUB_DEFAULTS
    attribute_map: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "num_attention_heads": "num_heads",
            "num_hidden_layers": "num_layers",
            "vocab_size": "input_vocab_size",
            "window_size": "block_size",
        }
    )
    also_accepted: ClassVar[frozenset[str]] = _FROM_ANY_CONFIG

    block_size: int
    input_vocab_size: int
    output_vocab_size: int
    num_layers: int
    num_heads: int
    hidden_size: int
    dropout: float
    bias: bool
    initializer_range: float
    use_cache: bool
    output_attentions: bool
    output_hidden_states: bool
    return_dict: bool


class BarkSemanticConfig(BarkSubModelConfig):
    """Sizes of the semantic transformer."""

    model_type: ClassVar[str] = "semantic"


class BarkCoarseConfig(BarkSubModelConfig):
    """Sizes of the coarse transformer."""

    model_type: ClassVar[str] = "coarse_acoustics"


class BarkFineConfig(BarkSubModelConfig):
    """Sizes of the fine transformer (parity H2)."""

    model_type: ClassVar[str] = "fine_acoustics"
    defaults: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {**_SUB_DEFAULTS, "tie_word_embeddings": True, "n_codes_total": 8, "n_codes_given": 1}
    )

    tie_word_embeddings: bool
    n_codes_total: int
    n_codes_given: int


class BarkConfig(NamedAttributes):
    """A whole Bark (parity H3). Parts may be given as config objects, dictionaries, or left to their defaults;
    `codec_config` is an `EncodecConfig`, `IstftCodecConfig` or `HarmonicCodecConfig` of `openbark.config`."""

    model_type: ClassVar[str] = "bark"
    defaults: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "semantic_config": None,
            "coarse_acoustics_config": None,
            "fine_acoustics_config": None,
            "codec_config": None,
            "initializer_range": 0.02,
        }
    )
    also_accepted: ClassVar[frozenset[str]] = _FROM_ANY_CONFIG | {"openbark"}

    semantic_config: BarkSemanticConfig
    coarse_acoustics_config: BarkCoarseConfig
    fine_acoustics_config: BarkFineConfig
    codec_config: CodecConfig
    initializer_range: float

    def __init__(
        self,
        semantic_config: BarkSemanticConfig | Mapping[str, Any] | None = None,
        coarse_acoustics_config: BarkCoarseConfig | Mapping[str, Any] | None = None,
        fine_acoustics_config: BarkFineConfig | Mapping[str, Any] | None = None,
        codec_config: CodecConfig | Mapping[str, Any] | None = None,
        initializer_range: float = 0.02,
        **values: Any,
    ) -> None:
        super().__init__(
            semantic_config=semantic_config,
            coarse_acoustics_config=coarse_acoustics_config,
            fine_acoustics_config=fine_acoustics_config,
            codec_config=codec_config,
            initializer_range=initializer_range,
            **values,
        )

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "semantic_config":
            value = _part(BarkSemanticConfig, value)
        elif name == "coarse_acoustics_config":
            value = _part(BarkCoarseConfig, value)
        elif name == "fine_acoustics_config":
            value = _part(BarkFineConfig, value)
        elif name == "codec_config":
            value = _codec(value)
        super().__setattr__(name, value)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """A config from the contents of config.json; checks it as a checkpoint's is checked.

        Raises CheckpointCorruptError for impossible sizes, CheckpointUnsupportedError for other models.
        """
        found = super().from_dict(values)
        found.sizes()
        return found

    def to_dict(self) -> dict[str, Any]:
        """The contents of config.json."""
        codec = {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self.codec_config).items()
        }
        return super().to_dict() | {"codec_config": codec}

    def sizes(self) -> ModelSizes:
        """The same sizes as OpenBark's own configs. Raises CheckpointError where they cannot be."""
        return read_sizes(self.to_dict(), Path(type(self).__name__))


class AutoConfig:
    """Finds the config class; here always `BarkConfig` (parity H18)."""

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], **from_hub: Unpack[FromHub]
    ) -> BarkConfig:
        """Read the config of a checkpoint folder. Raises CheckpointError or ParamError."""
        return BarkConfig.from_pretrained(pretrained_model_name_or_path, **from_hub)


def _part(kind: type[_Sub], value: object) -> _Sub:
    if value is None:
        return kind()
    if isinstance(value, kind):
        return value
    if isinstance(value, Mapping):
        return kind.from_dict(value)
    raise ParamError(
        f"{kind.__name__} expected, or a dictionary, or None; found {type(value).__name__}"
    )


def _codec(value: object) -> CodecConfig:
    if value is None:
        return EncodecConfig()
    if isinstance(value, (EncodecConfig, IstftCodecConfig, HarmonicCodecConfig)):
        return value
    if isinstance(value, NamedAttributes):
        value = value.to_dict()
    if not isinstance(value, Mapping):
        raise ParamError(f"codec_config is a {type(value).__name__}; legal: a dictionary, or None")
    contents = {"model_type": "bark", "codec_config": dict(value)}
    return read_sizes(contents, Path("BarkConfig")).codec

"""The config classes of transformers' Bark (docs/parity.md H1-H3): sizes of the three transformers and of the codec.

Their defaults are not the published sizes. Token layout and windows are in `generation_configuration`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Self, Unpack

from openbark.checkpoints.formats.json_file import read_json
from openbark.checkpoints.layouts.config_json import ModelSizes, read_sizes
from openbark.compat.transformers.attributes import NamedAttributes, part_of
from openbark.compat.transformers.locating import FromHub, locate
from openbark.config import CodecConfig, EncodecConfig, HarmonicCodecConfig, IstftCodecConfig
from openbark.errors import ParamError

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
_OF_ANY_CONFIG: Mapping[str, Any] = MappingProxyType(
    {
        "architectures": None,
        "chunk_size_feed_forward": 0,
        "dtype": None,
        "is_encoder_decoder": False,
        "output_attentions": False,
        "output_hidden_states": False,
        "problem_type": None,
        "return_dict": True,
        "transformers_version": None,
    }
)


class _Config(NamedAttributes):
    """What the config classes share."""

    also_accepted: ClassVar[frozenset[str]] = frozenset({*_OF_ANY_CONFIG, "name_or_path"})
    open_attributes: ClassVar[Mapping[str, Any]] = _OF_ANY_CONFIG
    base_config_key: ClassVar[str] = ""
    sub_configs: ClassVar[Mapping[str, type[NamedAttributes]]] = MappingProxyType({})

    @property
    def name_or_path(self) -> str:
        """Where it was loaded from; not saved, as there."""
        return str(self.__dict__.get("_name_or_path") or "")

    @name_or_path.setter
    def name_or_path(self, value: str | None) -> None:
        self.__dict__["_name_or_path"] = value

    def _came_from(self, name_or_path: str | os.PathLike[str]) -> None:
        self.name_or_path = os.fspath(name_or_path)

    def get_text_config(self, decoder: bool | None = None, encoder: bool | None = None) -> Self:
        """The config itself: Bark has no other for its text."""
        return self

    @classmethod
    def get_config_dict(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], **from_hub: Unpack[FromHub]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The contents of config.json, and no unused keywords. Raises CheckpointError or ParamError."""
        folder = locate(pretrained_model_name_or_path, from_hub, weights=False)
        return read_json(folder / cls.file_name), {}

    def update_from_string(self, update_str: str) -> None:
        """Set attributes from "name=value,name=value", in the types they have. Raises ParamError."""
        for pair in update_str.split(","):
            name, equals, text = pair.partition("=")
            old = getattr(self, name, None)
            if not equals or not isinstance(old, (bool, int, float, str)):
                raise ParamError(f"{pair!r} is not NAME=VALUE of an attribute that holds a value")
            try:
                setattr(self, name, _like(old, text))
            except ValueError as error:
                raise ParamError(
                    f"{name} is {text!r}; allowed: {type(old).__name__} values"
                ) from error

    def validate(self) -> None:
        """Raise CheckpointError or ParamError for sizes that are impossible."""


def _like(old: bool | float | str, text: str) -> bool | float | str:
    """A text as the type of the old value. Raises ValueError."""
    if not isinstance(old, bool):
        return type(old)(text)
    words = {"true": True, "1": True, "y": True, "yes": True}
    words |= {"false": False, "0": False, "n": False, "no": False}
    if text.lower() not in words:
        raise ValueError(text)
    return words[text.lower()]


class BarkSubModelConfig(_Config):
    """Sizes of one transformer (H1)."""

    keys_to_ignore_at_inference: ClassVar[tuple[str, ...]] = ("past_key_values",)
    defaults: ClassVar[Mapping[str, Any]] = _SUB_DEFAULTS
    attribute_map: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "num_attention_heads": "num_heads",
            "num_hidden_layers": "num_layers",
            "vocab_size": "input_vocab_size",
            "window_size": "block_size",
        }
    )

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
    base_config_key: ClassVar[str] = "semantic_config"


class BarkCoarseConfig(BarkSubModelConfig):
    """Sizes of the coarse transformer."""

    model_type: ClassVar[str] = "coarse_acoustics"
    base_config_key: ClassVar[str] = "coarse_acoustics_config"


class BarkFineConfig(BarkSubModelConfig):
    """Sizes of the fine transformer (H2)."""

    model_type: ClassVar[str] = "fine_acoustics"
    base_config_key: ClassVar[str] = "fine_acoustics_config"
    defaults: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {**_SUB_DEFAULTS, "tie_word_embeddings": True, "n_codes_total": 8, "n_codes_given": 1}
    )

    tie_word_embeddings: bool
    n_codes_total: int
    n_codes_given: int


class BarkConfig(_Config):
    """A whole Bark (H3). Parts may be given as config objects, dictionaries, or left to their defaults;
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
    also_accepted: ClassVar[frozenset[str]] = _Config.also_accepted | {"openbark"}
    sub_configs: ClassVar[Mapping[str, type[NamedAttributes]]] = MappingProxyType(
        {
            "semantic_config": BarkSemanticConfig,
            "coarse_acoustics_config": BarkCoarseConfig,
            "fine_acoustics_config": BarkFineConfig,
        }
    )

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
        if name in self.sub_configs:
            value = part_of(self.sub_configs[name], value)
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

    def validate(self) -> None:
        """Raise CheckpointError for sizes that are impossible."""
        self.sizes()

    def sizes(self) -> ModelSizes:
        """The same sizes as OpenBark's own configs. Raises CheckpointError where they cannot be."""
        return read_sizes(self.to_dict(), Path(type(self).__name__))


class AutoConfig:
    """Finds the config class; here always `BarkConfig` (H18)."""

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], **from_hub: Unpack[FromHub]
    ) -> BarkConfig:
        """Read the config of a checkpoint folder. Raises CheckpointError or ParamError."""
        return BarkConfig.from_pretrained(pretrained_model_name_or_path, **from_hub)


def _codec(value: object) -> CodecConfig:
    if value is None:
        return EncodecConfig()
    if isinstance(value, (EncodecConfig, IstftCodecConfig, HarmonicCodecConfig)):
        return value
    if isinstance(value, NamedAttributes):
        value = value.to_dict()
    if not isinstance(value, Mapping):
        raise ParamError(
            f"codec_config is a {type(value).__name__}; allowed: a dictionary, or None"
        )
    contents = {"model_type": "bark", "codec_config": dict(value)}
    return read_sizes(contents, Path("BarkConfig")).codec

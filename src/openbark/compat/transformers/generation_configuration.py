"""The generation-config classes of transformers' Bark (docs/parity.md H4-H7): token layout, windows, default sampling.

Defaults are theirs: greedy, temperature 1, no min_eos_p. Published checkpoints say otherwise in
`generation_config.json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Self

from openbark.compat.transformers.attributes import NamedAttributes, part_of
from openbark.compat.transformers.generation_options import (
    CONFIG_NAMES,
    OPEN_IN_CONFIGS,
    stage_options,
)


class GenerationConfig(NamedAttributes):
    """How one stage generates. Keywords are the options that stages know (`generation_options.StageOptions`)."""

    file_name: ClassVar[str] = "generation_config.json"
    also_accepted: ClassVar[frozenset[str]] = CONFIG_NAMES
    open_attributes: ClassVar[Mapping[str, Any]] = OPEN_IN_CONFIGS

    def validate(self) -> None:
        """Raise ParamError when an option lies outside its range."""
        stage_options(self.model_type or "generation", self, {})

    def update(
        self,
        config_dict: Mapping[str, Any] | None = None,
        defaults_only: bool = False,
        allow_custom_entries: bool = False,
        **values: Any,
    ) -> dict[str, Any]:
        """Set attributes that there are, and return the others; `defaults_only` sets those that are None,
        `allow_custom_entries` adds new ones. Raises ParamError for values outside their range."""
        unused = {}
        for name, value in {**(config_dict or {}), **values}.items():
            known = hasattr(self, name)
            if known and defaults_only and getattr(self, name) is not None:
                unused[name] = value
            elif known or allow_custom_entries:
                setattr(self, name, value)
            else:
                unused[name] = value
        self.validate()
        return unused

    @classmethod
    def from_model_config(cls, model_config: Mapping[str, Any] | NamedAttributes) -> Self:
        """What a model's config says about generation: the keys that a generation config has."""
        values = model_config if isinstance(model_config, Mapping) else model_config.to_dict()
        return cls.from_dict({name: values[name] for name in values if name in cls.open_attributes})


class BarkSemanticGenerationConfig(GenerationConfig):
    """Rules and sampling of the semantic stage (H4); `semantic_pad_token` follows `eos_token_id` unless
    it is given."""

    model_type: ClassVar[str] = "semantic"
    defaults: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "eos_token_id": 10_000,
            "renormalize_logits": True,
            "max_new_tokens": 768,
            "output_scores": False,
            "return_dict_in_generate": False,
            "output_hidden_states": False,
            "output_attentions": False,
            "temperature": 1.0,
            "do_sample": False,
            "text_encoding_offset": 10_048,
            "text_pad_token": 129_595,
            "semantic_infer_token": 129_599,
            "semantic_vocab_size": 10_000,
            "max_input_semantic_length": 256,
            "semantic_rate_hz": 49.9,
            "min_eos_p": None,
        }
    )
    also_accepted: ClassVar[frozenset[str]] = CONFIG_NAMES | {"semantic_pad_token"}

    eos_token_id: int
    text_encoding_offset: int
    text_pad_token: int
    semantic_infer_token: int
    semantic_vocab_size: int
    max_input_semantic_length: int
    semantic_rate_hz: float

    def __getattr__(self, name: str) -> Any:
        if name == "semantic_pad_token":
            return self.eos_token_id
        return super().__getattr__(name)

    @property
    def pad_token(self) -> int:
        """The token that fills history slots and ended rows."""
        return int(self.semantic_pad_token)


class BarkCoarseGenerationConfig(GenerationConfig):
    """Rules and sampling of the coarse stage (H5)."""

    model_type: ClassVar[str] = "coarse_acoustics"
    defaults: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "renormalize_logits": True,
            "output_scores": False,
            "return_dict_in_generate": False,
            "output_hidden_states": False,
            "output_attentions": False,
            "temperature": 1.0,
            "do_sample": False,
            "coarse_semantic_pad_token": 12_048,
            "coarse_rate_hz": 75,
            "n_coarse_codebooks": 2,
            "coarse_infer_token": 12_050,
            "max_coarse_input_length": 256,
            "max_coarse_history": 630,
            "sliding_window_len": 60,
        }
    )

    coarse_semantic_pad_token: int
    coarse_rate_hz: float
    n_coarse_codebooks: int
    coarse_infer_token: int
    max_coarse_input_length: int
    max_coarse_history: int
    sliding_window_len: int


class BarkFineGenerationConfig(GenerationConfig):
    """Windows and temperature of the fine stage (H6). Other sampling keys are kept and have no effect."""

    model_type: ClassVar[str] = "fine_acoustics"
    defaults: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "temperature": 1.0,
            "max_fine_history_length": 512,
            "max_fine_input_length": 1024,
            "n_fine_codebooks": 8,
        }
    )

    temperature: float | None
    max_fine_history_length: int
    max_fine_input_length: int
    n_fine_codebooks: int

    def validate(self) -> None:
        """Nothing is checked, as there (H6)."""


_PARTS: Mapping[str, type[GenerationConfig]] = MappingProxyType(
    {
        "semantic_config": BarkSemanticGenerationConfig,
        "coarse_acoustics_config": BarkCoarseGenerationConfig,
        "fine_acoustics_config": BarkFineGenerationConfig,
    }
)


class BarkGenerationConfig(GenerationConfig):
    """The three of them, and what the codec needs. Works as `model.generation_config`, which transformers' own
    class does not (H7); parts may be objects or dictionaries at any time."""

    model_type: ClassVar[str] = "bark"
    defaults: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "semantic_config": None,
            "coarse_acoustics_config": None,
            "fine_acoustics_config": None,
            "sample_rate": 24_000,
            "codebook_size": 1024,
        }
    )

    semantic_config: BarkSemanticGenerationConfig
    coarse_acoustics_config: BarkCoarseGenerationConfig
    fine_acoustics_config: BarkFineGenerationConfig
    sample_rate: int
    codebook_size: int

    def __init__(
        self,
        semantic_config: BarkSemanticGenerationConfig | Mapping[str, Any] | None = None,
        coarse_acoustics_config: BarkCoarseGenerationConfig | Mapping[str, Any] | None = None,
        fine_acoustics_config: BarkFineGenerationConfig | Mapping[str, Any] | None = None,
        sample_rate: int = 24_000,
        codebook_size: int = 1024,
        **values: Any,
    ) -> None:
        super().__init__(
            semantic_config=semantic_config,
            coarse_acoustics_config=coarse_acoustics_config,
            fine_acoustics_config=fine_acoustics_config,
            sample_rate=sample_rate,
            codebook_size=codebook_size,
            **values,
        )

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _PARTS:
            value = part_of(_PARTS[name], value)
        super().__setattr__(name, value)

    @classmethod
    def from_sub_model_configs(
        cls,
        semantic_config: BarkSemanticGenerationConfig,
        coarse_acoustics_config: BarkCoarseGenerationConfig,
        fine_acoustics_config: BarkFineGenerationConfig,
        sample_rate: int = 24_000,
        codebook_size: int = 1024,
    ) -> Self:
        """Put the three together; they are copied."""
        return cls(
            semantic_config.to_dict(),
            coarse_acoustics_config.to_dict(),
            fine_acoustics_config.to_dict(),
            sample_rate,
            codebook_size,
        )

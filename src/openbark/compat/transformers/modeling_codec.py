"""The codec under transformers' names: `EncodecModel`'s `encode`, `decode` and parts (docs/parity.md H13, C2).

Codes are [1, B, K, F] there, the first dimension being the pieces of long audio, of which Bark's codec has one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from openbark.backends.torch.codec_network import CodecNetwork, CodecQuantizer
from openbark.compat.transformers.modeling_base import BarkPreTrainedModel
from openbark.compat.transformers.outputs import ModelOutput
from openbark.config import CodecConfig, EncodecConfig
from openbark.errors import InputError, ParamError


@dataclass(eq=False)
class EncodecEncoderOutput(ModelOutput):
    """Codes [1, B, K, F]; the codec has no scales."""

    audio_codes: Tensor
    audio_scales: list[None] | None = None


@dataclass(eq=False)
class EncodecDecoderOutput(ModelOutput):
    """Waveform [B, 1, L]."""

    audio_values: Tensor


@dataclass(eq=False)
class EncodecOutput(ModelOutput):
    """Codes [1, B, K, F], and the waveform [B, 1, L] that they become."""

    audio_codes: Tensor
    audio_values: Tensor | None = None


class _Quantizer(CodecQuantizer):
    def encode(self, embeddings: Tensor, bandwidth: float | None = None) -> Tensor:
        """Codes [K, B, F] of a latent [B, D, F] at a bandwidth in kbit/s, with all codebooks for None."""
        return self.codes_of(embeddings, self.n_codebooks_of(bandwidth))


class BarkCodecModel(CodecNetwork, BarkPreTrainedModel):
    """EnCodec, or OpenBark's own codec behind the same calls."""

    main_input_name: ClassVar[str] = "input_values"
    base_model_prefix: ClassVar[str] = "encodec"

    def __init__(self, config: CodecConfig) -> None:
        super().__init__(config, _Quantizer)
        self.bits_per_codebook = int(math.log2(config.codebook_size))

    def encode(
        self,
        input_values: Tensor,
        padding_mask: Tensor | None = None,
        bandwidth: float | None = None,
        return_dict: bool | None = None,
    ) -> EncodecEncoderOutput | tuple[Any, ...]:
        """Codes of a waveform [B, 1, L]. bandwidth: kbit/s, the lowest if None; 6.0 gives the eight codebooks of
        Bark. padding_mask [B, L]: padded samples are encoded as silence.

        Raises ParamError for a bandwidth that the codec does not have, InputError for other shapes.
        """
        values = input_values
        if padding_mask is not None:
            values = values * padding_mask.reshape(len(values), 1, -1)
        codes = self.codes_of(values, self._n_codebooks(bandwidth))
        output = EncodecEncoderOutput(codes[None], [None])
        return output if return_dict in (None, True) else (codes[None], [None], 0)

    def decode(
        self,
        audio_codes: Tensor,
        audio_scales: Any = None,
        padding_mask: Tensor | None = None,
        return_dict: bool | None = None,
    ) -> EncodecDecoderOutput | tuple[Tensor]:
        """The waveform of codes [1, B, K, F], cut to the length of `padding_mask`. `audio_scales` are [None].

        Raises InputError for other shapes.
        """
        if audio_codes.ndim != 4 or len(audio_codes) != 1:
            raise InputError(
                f"audio_codes have the shape {list(audio_codes.shape)}; allowed: [1, batch, codebooks, frames]"
            )
        values = self.waveform_of(audio_codes[0])
        if padding_mask is not None:
            values = values[..., : padding_mask.shape[-1]]
        return EncodecDecoderOutput(values) if return_dict in (None, True) else (values,)

    def forward(
        self,
        input_values: Tensor,
        padding_mask: Tensor | None = None,
        bandwidth: float | None = None,
        audio_codes: Tensor | None = None,
        audio_scales: Any = None,
        return_dict: bool | None = None,
    ) -> EncodecOutput | tuple[Tensor, Tensor]:
        """A waveform [B, 1, L] through the codec and back; `audio_codes` are decoded instead where given."""
        codes = audio_codes
        if codes is None:
            codes = self.encode(input_values, padding_mask, bandwidth, True)[0]
        mask = torch.ones_like(input_values[:, 0]) if padding_mask is None else padding_mask
        values = self.decode(codes, audio_scales, mask, True)[0]
        return EncodecOutput(codes, values) if return_dict in (None, True) else (codes, values)

    def _n_codebooks(self, bandwidth: float | None) -> int:
        config = self.config
        if not isinstance(config, EncodecConfig):
            return self.quantizer.n_codebooks_of(bandwidth)
        allowed = config.target_bandwidths
        chosen = allowed[0] if bandwidth is None else bandwidth
        if chosen not in allowed:
            raise ParamError(f"bandwidth is {bandwidth}; allowed: {', '.join(map(str, allowed))}")
        return self.quantizer.n_codebooks_of(chosen)

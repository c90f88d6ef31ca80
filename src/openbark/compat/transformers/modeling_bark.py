"""`BarkModel`, the whole cascade under transformers' names (docs/parity.md H12-H15, H20-H29).

The rules are transformers' (`decoding`, `modeling_causal`, `modeling_fine`); where those crash or lose what
was asked for, docs/migrating-transformers.md says what happens here.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor, nn

from openbark.compat.transformers.configuration import BarkConfig
from openbark.compat.transformers.folders import LoadedTensors, load_folder, save_folder
from openbark.compat.transformers.generation_configuration import BarkGenerationConfig
from openbark.compat.transformers.modeling_base import StoredModel
from openbark.compat.transformers.modeling_causal import BarkCoarseModel, BarkSemanticModel
from openbark.compat.transformers.modeling_codec import BarkCodecModel
from openbark.compat.transformers.modeling_fine import BarkFineModel
from openbark.errors import DeviceError, ParamError, VoiceError

_LOG = logging.getLogger(__name__)
_HALF = (torch.float16, torch.bfloat16)
_STAGES = ("semantic", "coarse", "fine")
_ONLY_SEMANTIC = (
    "attention_mask",
    "eos_token_id",
    "max_new_tokens",
    "min_eos_p",
    "min_new_tokens",
    "num_return_sequences",
)


def route_options(options: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Keywords of `BarkModel.generate` by stage (H20): a prefix names the stage and wins, no prefix means all
    three. Options of the end of speech and of length go to the semantic stage alone."""
    routed: dict[str, dict[str, Any]] = {stage: {} for stage in _STAGES}
    for name, value in options.items():
        if name.partition("_")[0] in _STAGES:
            continue
        for stage in _STAGES[:1] if name in _ONLY_SEMANTIC else _STAGES:
            routed[stage][name] = value
    for name, value in options.items():
        stage, _, rest = name.partition("_")
        if stage in _STAGES:
            routed[stage][rest] = value
    return routed


class BarkModel(StoredModel):
    """Text ids to waveforms."""

    config_class: ClassVar[type[BarkConfig]] = BarkConfig
    generation_config: BarkGenerationConfig

    def __init__(self, config: BarkConfig) -> None:
        super().__init__()
        self.config = config
        self.generation_config = BarkGenerationConfig()
        self.semantic = BarkSemanticModel(config.semantic_config)
        self.coarse_acoustics = BarkCoarseModel(config.coarse_acoustics_config)
        self.fine_acoustics = BarkFineModel(config.fine_acoustics_config)
        self.codec_model = BarkCodecModel(config.codec_config)
        self._offload_to: torch.device | None = None
        self._told_of_min_eos_p = False
        self._besides = LoadedTensors({})

    @classmethod
    def _load(cls, folder: Path, config: BarkConfig | None) -> tuple[Self, str]:
        contents = load_folder(folder)
        with torch.device("meta"):
            model = cls(config or contents.config)
        # Its window is not a weight: nothing would fill it.
        model.codec_model = BarkCodecModel(model.config.codec_config)
        contents.fill(model)
        model.generation_config = contents.generation_config
        model._besides = contents.besides
        return model, contents.stored_dtype

    def _write(self, folder: Path) -> None:
        tensors = {
            name: tensor.detach().float().cpu().numpy()
            for name, tensor in self.state_dict().items()
            if not name.startswith("fine_acoustics.lm_heads.")
        }
        half = self.dtype == torch.float16
        kind: Literal["float32", "float16"] = "float16" if half else "float32"
        everything = {**self._besides.tensors, **tensors}
        save_folder(folder, self.config, self.generation_config, everything, kind)

    @property
    def device(self) -> torch.device:
        """Where stages compute; with offloading, where they are moved to (H15)."""
        return self._offload_to or super().device

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        """Conversions reach the codec too, but not below float32: half precision is audible there."""

        def at_least_single(tensor: Tensor) -> Tensor:
            converted: Tensor = fn(tensor)
            return tensor.to(converted.device) if converted.dtype in _HALF else converted

        for name, part in self.named_children():
            part._apply(at_least_single if name == "codec_model" else fn)  # type: ignore[no-untyped-call]
        return self

    def enable_cpu_offload(
        self, accelerator_id: int | None = None, gpu_id: int | None = None
    ) -> None:
        """Keep the stages in CPU memory and move each to the accelerator while it computes (H14).

        accelerator_id: which one, the first if None; gpu_id is its older name. Needs no accelerate. Raises
        DeviceError without an accelerator, or without one of that number.
        """
        number = (gpu_id if accelerator_id is None else accelerator_id) or 0
        accelerator = torch.accelerator.current_accelerator()
        if accelerator is None or not torch.accelerator.is_available():
            raise DeviceError(
                "enable_cpu_offload moves stages to an accelerator, and torch finds none here; "
                "leave the call out to compute on the CPU"
            )
        if not 0 <= number < torch.accelerator.device_count():
            raise DeviceError(
                f"accelerator_id is {number}; allowed: 0..{torch.accelerator.device_count() - 1}"
            )
        self._offload_to = None
        self.to("cpu")
        self._offload_to = torch.device(accelerator.type, number)

    @contextmanager
    def _placed(self, *modules: nn.Module) -> Iterator[None]:
        if self._offload_to is None:
            yield
            return
        for module in modules:
            module.to(self._offload_to)
        try:
            yield
        finally:
            for module in modules:
                module.to("cpu")

    def codec_decode(
        self, fine_output: Tensor, output_lengths: Sequence[int] | Tensor | None = None
    ) -> Tensor | list[Tensor]:
        """Codes [B, K, F] to waveforms [B, L]; with lengths in frames, a list of [L] decoded one by one, so
        that padding reaches no LSTM (H13)."""
        codec = self.codec_model
        codes = fine_output.to(next(codec.parameters()).device)
        if output_lengths is None:
            return codec.waveform_of(codes)[:, 0]
        parameter = next(codec.parameters())
        waveforms = []
        for row, length in zip(codes, output_lengths, strict=True):
            n_frames = int(length)
            if n_frames == 0:
                waveforms.append(parameter.new_zeros(0))
            else:
                waveforms.append(codec.waveform_of(row[None, :, :n_frames])[0, 0])
        return waveforms

    @torch.no_grad()
    def generate(
        self,
        input_ids: Tensor | None = None,
        history_prompt: Mapping[str, Tensor] | None = None,
        return_output_lengths: bool | None = None,
        generation_config: BarkGenerationConfig | Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Tensor | tuple[Tensor, list[int]]:
        """Waveforms [B, L] of tokenizer ids [B, N], and with `return_output_lengths` their samples (H12).

        options: for all stages, or with the prefix semantic_, coarse_ or fine_ for one (H20); see
        `generation_options.StageOptions`. generation_config: instead of the model's own, for this call.
        Raises TextError, VoiceError, ParamError.
        """
        if input_ids is None:
            raise ParamError("input_ids is missing; processor(text) makes it")
        rules = self._rules(generation_config)
        routed = route_options(options)
        if rules.semantic_config.get("min_eos_p") is None:
            self._tell_of_min_eos_p(routed["semantic"])
        voice = self._checked_voice(history_prompt, rules)
        semantic_rules, coarse_rules = rules.semantic_config, rules.coarse_acoustics_config
        with self._placed(self.semantic):
            semantic = self.semantic.generate(
                torch.as_tensor(input_ids, device=self.device),
                history_prompt=voice,
                semantic_generation_config=semantic_rules,
                **_to_device(routed["semantic"], self.device),
            )
        with self._placed(self.coarse_acoustics):
            coarse = self.coarse_acoustics.generate(
                semantic,
                history_prompt=voice,
                semantic_generation_config=semantic_rules,
                coarse_generation_config=coarse_rules,
                codebook_size=rules.codebook_size,
                return_output_lengths=True,
                **routed["coarse"],
            )
        with self._placed(self.fine_acoustics):
            fine = self.fine_acoustics.generate(
                coarse[0],
                history_prompt=voice,
                semantic_generation_config=semantic_rules,
                coarse_generation_config=coarse_rules,
                fine_generation_config=rules.fine_acoustics_config,
                codebook_size=rules.codebook_size,
                **routed["fine"],
            )
        frames = coarse[1] // coarse_rules.n_coarse_codebooks
        with self._placed(self.codec_model):
            audio = self.codec_decode(fine, frames if return_output_lengths else None)
        if isinstance(audio, Tensor):
            return audio
        padded = nn.utils.rnn.pad_sequence(audio, batch_first=True, padding_value=0)
        return padded, [len(waveform) for waveform in audio]

    def _tell_of_min_eos_p(self, options: Mapping[str, Any]) -> None:
        if "min_eos_p" in options or self._told_of_min_eos_p:
            return
        self._told_of_min_eos_p = True
        _LOG.warning(
            "min_eos_p is not set, so speech may run on after the text; Suno's own code stops at 0.2: "
            "model.generation_config.semantic_config.min_eos_p = 0.2. This line is left out with "
            "generate(..., min_eos_p=None)"
        )

    def _rules(
        self, generation_config: BarkGenerationConfig | Mapping[str, Any] | None
    ) -> BarkGenerationConfig:
        chosen = self.generation_config if generation_config is None else generation_config
        if isinstance(chosen, BarkGenerationConfig):
            return chosen
        return BarkGenerationConfig.from_dict(chosen)

    def _checked_voice(
        self, history: Mapping[str, Tensor] | None, rules: BarkGenerationConfig
    ) -> dict[str, Tensor] | None:
        """The voice as int64 here. Raises VoiceError for arrays of another shape, and for tokens that the
        model does not have."""
        if history is None:
            return None
        coarse, fine = rules.coarse_acoustics_config, rules.fine_acoustics_config
        tokens: dict[str, tuple[int, tuple[int, ...]]] = {
            "semantic_prompt": (rules.semantic_config.semantic_vocab_size, ()),
            "coarse_prompt": (rules.codebook_size, (coarse.n_coarse_codebooks,)),
            "fine_prompt": (rules.codebook_size, (fine.n_fine_codebooks,)),
        }
        voice = {}
        for key, (size, rows) in tokens.items():
            if key not in history:
                raise VoiceError(f"history_prompt lacks {key}; it needs {', '.join(tokens)}")
            array = torch.as_tensor(history[key]).to(self.device, torch.int64)
            if array.ndim != len(rows) + 1 or tuple(array.shape[:-1]) != rows:
                allowed = ", ".join((*map(str, rows), "T"))
                raise VoiceError(
                    f"history_prompt: {key} has shape {list(array.shape)}; allowed: [{allowed}], one voice for "
                    "the whole batch"
                )
            if array.numel() == 0 or int(array.min()) < 0 or int(array.max()) >= size:
                raise VoiceError(
                    f"history_prompt: {key} must hold tokens 0..{size - 1}; "
                    "it is empty, or belongs to another model"
                )
            voice[key] = array
        return voice


class AutoModel:
    """Finds the model class; here always `BarkModel` (H18). `from_pretrained` takes what BarkModel's takes."""

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], **options: Any
    ) -> BarkModel:
        """Load a checkpoint folder. Raises CheckpointError, DeviceError, ParamError."""
        return BarkModel.from_pretrained(pretrained_model_name_or_path, **options)

    @classmethod
    def from_config(cls, config: BarkConfig) -> BarkModel:
        """A model with random weights."""
        return BarkModel(config)


class AutoModelForTextToWaveform(AutoModel):
    """The same under the task's name."""


def _to_device(options: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
    return {
        name: value.to(device) if isinstance(value, Tensor) else value
        for name, value in options.items()
    }

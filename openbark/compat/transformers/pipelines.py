"""`pipeline("text-to-audio")` (parity H17)."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from openbark.assets import EMBEDDED_NAME
from openbark.compat.transformers.modeling_bark import BarkModel
from openbark.compat.transformers.processing import BarkProcessor
from openbark.errors import DeviceError, ParamError

__all__ = ["TextToAudioPipeline", "pipeline", "set_seed"]

_TASKS = ("text-to-audio", "text-to-speech")


class TextToAudioPipeline:
    """Text to `{"audio": float32 [L], "sampling_rate": Hz}`."""

    def __init__(
        self,
        model: BarkModel,
        processor: BarkProcessor,
        forward_params: Mapping[str, Any] | None = None,
        preprocess_params: Mapping[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.processor = processor
        self._forward_params = dict(forward_params or {})
        self._preprocess_params = dict(preprocess_params or {})

    @property
    def sampling_rate(self) -> int:
        """Samples per second."""
        return self.model.generation_config.sample_rate

    @property
    def tokenizer(self) -> Any:
        """The processor's tokenizer."""
        return self.processor.tokenizer

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return self.model.device

    def __call__(
        self,
        text_inputs: str | Sequence[str],
        forward_params: Mapping[str, Any] | None = None,
        generate_kwargs: Mapping[str, Any] | None = None,
        preprocess_params: Mapping[str, Any] | None = None,
    ) -> dict[str, Any] | list[dict[str, Any]]:
        """One result for a text, a list for several. `generate_kwargs` win over `forward_params`;
        `preprocess_params` go to the processor, such as `voice_preset`."""
        if not isinstance(text_inputs, str):
            return [
                self._one(text, forward_params, generate_kwargs, preprocess_params)
                for text in text_inputs
            ]
        return self._one(text_inputs, forward_params, generate_kwargs, preprocess_params)

    def _one(
        self,
        text: str,
        forward_params: Mapping[str, Any] | None,
        generate_kwargs: Mapping[str, Any] | None,
        preprocess_params: Mapping[str, Any] | None,
    ) -> dict[str, Any]:
        asked = {**self._preprocess_params, **(preprocess_params or {})}
        options = {**self._forward_params, **(forward_params or {}), **(generate_kwargs or {})}
        inputs = self.processor(text, **asked).to(self.model.device)
        output = self.model.generate(**inputs, **options)
        audio = output if isinstance(output, Tensor) else output[0]
        waveform = audio.float().cpu().numpy().squeeze()
        return {"audio": waveform, "sampling_rate": self.sampling_rate}


def pipeline(
    task: str | None = None,
    model: str | os.PathLike[str] | BarkModel | None = None,
    *,
    processor: BarkProcessor | None = None,
    device: int | str | torch.device | None = None,
    device_map: str | torch.device | None = None,
    dtype: torch.dtype | str | None = None,
    torch_dtype: torch.dtype | str | None = None,
    forward_params: Mapping[str, Any] | None = None,
    preprocess_params: Mapping[str, Any] | None = None,
) -> TextToAudioPipeline:
    """A pipeline for "text-to-audio" or "text-to-speech".

    model: a checkpoint folder, or a BarkModel and its `processor`; None is the embedded model, where
    transformers downloads suno/bark-small. device: a name, or an accelerator's number, -1 for the CPU.
    Raises ParamError for other tasks.
    """
    if task not in (None, *_TASKS):
        raise ParamError(f"task is {task!r}; legal: {', '.join(_TASKS)}")
    if isinstance(model, BarkModel):
        if processor is None:
            raise ParamError(
                "a loaded model needs its processor: pipeline(task, model, processor=...)"
            )
        loaded = model
    else:
        source = EMBEDDED_NAME if model is None else model
        loaded = BarkModel.from_pretrained(
            source, dtype=dtype, torch_dtype=torch_dtype, device_map=device_map
        )
        processor = processor or BarkProcessor.from_pretrained(source)
    if device is not None:
        loaded.to(_place(device))
    return TextToAudioPipeline(loaded, processor, forward_params, preprocess_params)


def set_seed(seed: int) -> None:
    """Seed torch, numpy and random for the whole process, as transformers' function of that name does."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def _place(device: int | str | torch.device) -> torch.device:
    if isinstance(device, int):
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        if device < 0:
            return torch.device("cpu")
        if accelerator is None:
            raise DeviceError(
                f"device is {device}, and torch finds no accelerator; legal: -1, 'cpu'"
            )
        return torch.device(accelerator.type, device)
    return torch.device(device)

"""`pipeline("text-to-audio")` (docs/parity.md H17)."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Unpack

import numpy as np
import torch
from torch import Tensor

from openbark.assets import EMBEDDED_NAME
from openbark.compat.transformers.configuration import BarkConfig
from openbark.compat.transformers.locating import FromHub
from openbark.compat.transformers.modeling_bark import BarkModel
from openbark.compat.transformers.processing import BarkProcessor
from openbark.compat.transformers.tokenization import BarkTokenizer
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
        generate_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.processor = processor
        self._forward_params = {**(forward_params or {}), **(generate_kwargs or {})}
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

    @property
    def dtype(self) -> torch.dtype:
        """What the model's weights are."""
        return self.model.dtype

    torch_dtype = dtype

    def save_pretrained(self, save_directory: str | os.PathLike[str]) -> None:
        """Write model and processor into one folder. Raises CheckpointError or VoiceError."""
        self.model.save_pretrained(save_directory)
        self.processor.save_pretrained(save_directory)

    def __call__(
        self,
        text_inputs: str | Iterable[str],
        forward_params: Mapping[str, Any] | None = None,
        generate_kwargs: Mapping[str, Any] | None = None,
        preprocess_params: Mapping[str, Any] | None = None,
    ) -> dict[str, Any] | list[dict[str, Any]] | Iterator[dict[str, Any]]:
        """One result for a text, a list for several, an iterator for an iterator of texts. `generate_kwargs`
        win over `forward_params`; `preprocess_params` go to the processor, such as `voice_preset`."""

        def one(text: str) -> dict[str, Any]:
            return self._one(text, forward_params, generate_kwargs, preprocess_params)

        if isinstance(text_inputs, str):
            return one(text_inputs)
        return (
            map(one, text_inputs)
            if isinstance(text_inputs, Iterator)
            else list(map(one, text_inputs))
        )

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
    tokenizer: BarkProcessor | BarkTokenizer | str | None = None,
    config: BarkConfig | None = None,
    device: int | str | torch.device | None = None,
    device_map: str | torch.device | None = None,
    dtype: torch.dtype | str | None = None,
    torch_dtype: torch.dtype | str | None = None,
    forward_params: Mapping[str, Any] | None = None,
    preprocess_params: Mapping[str, Any] | None = None,
    generate_kwargs: Mapping[str, Any] | None = None,
    model_kwargs: Mapping[str, Any] | None = None,
    **from_hub: Unpack[FromHub],
) -> TextToAudioPipeline:
    """A pipeline for "text-to-audio" or "text-to-speech".

    model: a checkpoint folder, a name on the hub, or a BarkModel, whose processor is looked for where the
    model came from unless it is given; None is the embedded model, where transformers downloads
    suno/bark-small. tokenizer: a tokenizer, where there is no processor. device: a name, or an accelerator's
    number, -1 for the CPU. model_kwargs: further keywords of `BarkModel.from_pretrained`; from_hub: those of
    every `from_pretrained`. Raises ParamError for other tasks.
    """
    if task not in (None, *_TASKS):
        raise ParamError(f"task is {task!r}; legal: {', '.join(_TASKS)}")
    if isinstance(model, BarkModel):
        loaded, source = model, model.name_or_path
    else:
        source = EMBEDDED_NAME if model is None else os.fspath(model)
        options = {"dtype": dtype, "torch_dtype": torch_dtype, "device_map": device_map}
        everything = {**options, **(model_kwargs or {}), **from_hub}
        loaded = BarkModel.from_pretrained(source, config=config, **everything)
    found = _processor(processor or tokenizer, source, from_hub)
    if device is not None:
        loaded.to(_place(device))
    return TextToAudioPipeline(loaded, found, forward_params, preprocess_params, generate_kwargs)


def set_seed(seed: int) -> None:
    """Seed torch, numpy and random for the whole process, as transformers' function of that name does."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def _processor(
    given: BarkProcessor | BarkTokenizer | str | None, source: str, from_hub: FromHub
) -> BarkProcessor:
    """What was given, as a processor, or the one that lies beside the model."""
    if isinstance(given, BarkProcessor):
        return given
    if isinstance(given, BarkTokenizer):
        return BarkProcessor(given)
    if not (given or source):
        raise ParamError(
            "a model that was not loaded from a folder needs its processor: "
            "pipeline(task, model, processor=...)"
        )
    return BarkProcessor.from_pretrained(given or source, **from_hub)


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

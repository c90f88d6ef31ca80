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
from openbark.compat.transformers.batches import BatchEncoding
from openbark.compat.transformers.configuration import BarkConfig
from openbark.compat.transformers.folders import parse_device
from openbark.compat.transformers.locating import FromHub
from openbark.compat.transformers.modeling_bark import BarkModel
from openbark.compat.transformers.processing import BarkProcessor
from openbark.compat.transformers.tokenization import BarkTokenizer
from openbark.errors import ParamError, TextError

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
        task: str = "text-to-audio",
    ) -> None:
        self.task = task
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
        batch_size: int | None = None,
        num_workers: int | None = None,
    ) -> dict[str, Any] | list[dict[str, Any]] | Iterator[dict[str, Any]]:
        """One result for a text, a list for several, an iterator for an iterator of texts. `generate_kwargs`
        win over `forward_params`; `preprocess_params` go to the processor, such as `voice_preset`. Texts are
        spoken one after the other: `batch_size` and `num_workers` change no clip."""

        def one(text: str) -> dict[str, Any]:
            inputs = self.preprocess(text, **(preprocess_params or {}))
            return self.postprocess(self.forward(inputs, forward_params, generate_kwargs))

        if isinstance(text_inputs, str):
            return one(text_inputs)
        if not isinstance(text_inputs, Iterable):
            raise TextError(
                f"text_inputs is a {type(text_inputs).__name__}; allowed: a text, or several of them"
            )
        return (
            map(one, text_inputs)
            if isinstance(text_inputs, Iterator)
            else list(map(one, text_inputs))
        )

    def preprocess(self, text: str, **params: Any) -> BatchEncoding:
        """What the processor makes of a text; params: those of the processor's call."""
        return self.processor(text, **{**self._preprocess_params, **params})

    def forward(
        self,
        model_inputs: BatchEncoding,
        forward_params: Mapping[str, Any] | None = None,
        generate_kwargs: Mapping[str, Any] | None = None,
    ) -> Tensor:
        """Waveforms [B, L] of what `preprocess` made."""
        options = {**self._forward_params, **(forward_params or {}), **(generate_kwargs or {})}
        output = self.model.generate(**model_inputs.to(self.model.device), **options)
        return output if isinstance(output, Tensor) else output[0]

    def postprocess(self, audio: Tensor) -> dict[str, Any]:
        """The result for a waveform: float32, without dimensions of one."""
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
    device_map: str | int | torch.device | Mapping[str, Any] | None = None,
    dtype: torch.dtype | str | None = None,
    torch_dtype: torch.dtype | str | None = None,
    forward_params: Mapping[str, Any] | None = None,
    preprocess_params: Mapping[str, Any] | None = None,
    generate_kwargs: Mapping[str, Any] | None = None,
    model_kwargs: Mapping[str, Any] | None = None,
    framework: str | None = None,
    batch_size: int | None = None,
    num_workers: int | None = None,
    **from_hub: Unpack[FromHub],
) -> TextToAudioPipeline:
    """A pipeline for "text-to-audio" or "text-to-speech".

    model: a checkpoint folder, a name on the hub, or a BarkModel, whose processor is looked for where the
    model came from unless it is given; None is the embedded model, where transformers downloads
    suno/bark-small. tokenizer: a tokenizer, where there is no processor. device: a name, or an accelerator's
    number, -1 for the CPU. framework: "pt". batch_size and num_workers change no clip. model_kwargs: further keywords of `BarkModel.from_pretrained`; from_hub: those of
    every `from_pretrained`. Raises ParamError for other tasks.
    """
    if task not in (None, *_TASKS):
        raise ParamError(f"task is {task!r}; allowed: {', '.join(_TASKS)}")
    if framework not in (None, "pt"):
        raise ParamError(f"framework is {framework!r}; allowed: 'pt'")
    if isinstance(model, BarkModel):
        loaded, source = model, model.name_or_path
    else:
        source = EMBEDDED_NAME if model is None else os.fspath(model)
        options = {"dtype": dtype, "torch_dtype": torch_dtype, "device_map": device_map}
        everything = {**options, **(model_kwargs or {}), **from_hub}
        loaded = BarkModel.from_pretrained(source, config=config, **everything)
    found = _processor(processor or tokenizer, source, from_hub)
    if device is not None:
        loaded.to(parse_device(device))
    return TextToAudioPipeline(
        loaded, found, forward_params, preprocess_params, generate_kwargs, task or _TASKS[0]
    )


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

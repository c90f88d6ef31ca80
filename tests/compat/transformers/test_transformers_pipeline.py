"""pipeline("text-to-audio") of openbark.compat.transformers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from openbark.compat import transformers as hf
from openbark.errors import (
    ParamError,
)


def test_H17_pipeline(folder: Path) -> None:
    pipe = hf.pipeline("text-to-audio", str(folder), dtype="auto")
    torch.manual_seed(0)
    output = pipe("hello there", preprocess_params={"voice_preset": "en_0"})
    assert output["sampling_rate"] == 24_000
    assert output["audio"].dtype == np.float32 and output["audio"].ndim == 1
    many = pipe(["one", "two"], generate_kwargs={"semantic_max_new_tokens": 4})
    assert len(many) == 2
    with pytest.raises(ParamError, match="text-to-audio"):
        hf.pipeline("translation", str(folder))


def test_H17_everything_that_pipeline_takes(folder: Path, tmp_path: Path) -> None:
    short = {"semantic_max_new_tokens": 4, "semantic_min_new_tokens": 4}
    pipe = hf.pipeline(
        "text-to-speech",
        str(folder),
        device=-1,
        preprocess_params={"voice_preset": "en_0"},
        generate_kwargs=short,
        model_kwargs={"attn_implementation": "sdpa"},
        revision=None,
    )
    assert (pipe.device.type, pipe.dtype, pipe.torch_dtype) == ("cpu", torch.float32, torch.float32)
    streamed = pipe(text for text in ("one", "two"))
    assert not isinstance(streamed, list)
    assert [set(clip) for clip in streamed] == [{"audio", "sampling_rate"}] * 2
    pipe.save_pretrained(tmp_path / "saved")
    again = hf.pipeline("text-to-audio", tmp_path / "saved", config=pipe.model.config)
    assert again("one", generate_kwargs=short)["audio"].size > 0


def test_H17_a_loaded_model(folder: Path, model: hf.BarkModel) -> None:
    """Its processor is the one beside it, or the one given, or a tokenizer's."""
    greedy = {"do_sample": False, "temperature": 1.0, "semantic_max_new_tokens": 4}
    tokenizer = hf.AutoTokenizer.from_pretrained(folder)
    pipes = [
        hf.pipeline("text-to-audio", model),
        hf.pipeline("text-to-audio", model, processor=hf.AutoProcessor.from_pretrained(folder)),
        hf.pipeline("text-to-audio", model, tokenizer=tokenizer),
        hf.pipeline("text-to-audio", model, tokenizer=str(folder)),
    ]
    first, *others = [pipe("one", forward_params=greedy)["audio"] for pipe in pipes]
    assert all((other == first).all() for other in others)
    model_of_no_folder = hf.BarkModel(hf.BarkConfig.from_dict(model.config.to_dict()))
    with pytest.raises(ParamError, match="needs its processor"):
        hf.pipeline("text-to-audio", model_of_no_folder)

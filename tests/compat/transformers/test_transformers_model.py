"""Loading, options, offloading and saving of openbark.compat.transformers' models."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from shim_models import SLOTS

from openbark.checkpoints import random_checkpoint, save_checkpoint
from openbark.compat import transformers as hf
from openbark.config import BarkConfig, HarmonicCodecConfig, IstftCodecConfig
from openbark.errors import (
    CheckpointCorruptError,
    DeviceError,
    ParamError,
    TextError,
    VoiceError,
)
from openbark.params import SUNO_PARAMS


def test_H14_H15_offload_takes_turns(
    folder: Path, processor: hf.BarkProcessor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An accelerator that is the CPU: each stage is moved there alone, and back before the next one."""
    greedy = {"do_sample": False, "temperature": 1.0}
    expected = hf.BarkModel.from_pretrained(folder).generate(**processor("hello"), **greedy)
    model = hf.BarkModel.from_pretrained(folder)
    if not torch.accelerator.is_available():
        with pytest.raises(DeviceError, match="leave the call out"):
            model.enable_cpu_offload()
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cpu"))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 1)
    with pytest.raises(DeviceError, match=r"accelerator_id is 3; allowed: 0\.\.0"):
        model.enable_cpu_offload(gpu_id=3)
    model.enable_cpu_offload(accelerator_id=0)
    assert model.device == torch.device("cpu", 0)
    moves: list[tuple[str, str]] = []
    for name, part in model.named_children():

        def move(device: Any, name: str = name) -> None:
            moves.append((name, str(device)))

        monkeypatch.setattr(part, "to", move)
    assert torch.equal(model.generate(**processor("hello"), **greedy), expected)
    stages = ("semantic", "coarse_acoustics", "fine_acoustics", "codec_model")
    assert moves == [(name, device) for name in stages for device in ("cpu:0", "cpu")]


@pytest.mark.gpu
def test_H14_offload_to_a_gpu(folder: Path, processor: hf.BarkProcessor) -> None:
    """Tokens as without; between stages nothing is left there, and never are two stages there at once."""
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    greedy = {"do_sample": False, "temperature": 1.0}
    inputs = processor("hello", voice_preset="en_0").to("cuda")
    model = hf.BarkModel.from_pretrained(folder, device_map="cuda", dtype=torch.float64)
    expected = model.generate(**inputs, **greedy).cpu()
    model.enable_cpu_offload()
    assert model.device.type == "cuda"
    assert {parameter.device.type for parameter in model.parameters()} == {"cpu"}
    found = model.generate(**processor("hello", voice_preset="en_0").to(model.device), **greedy)
    assert found.shape == expected.shape
    assert (found.cpu() - expected).abs().max() < 1e-6
    assert {parameter.device.type for parameter in model.parameters()} == {"cpu"}


@pytest.mark.parametrize("name", [None, "eager", "sdpa", "flash_attention_2"])
def test_H16_attention(folder: Path, name: str | None) -> None:
    assert hf.BarkModel.from_pretrained(folder, attn_implementation=name) is not None
    with pytest.raises(ParamError, match="allowed: None, eager"):
        hf.BarkModel.from_pretrained(folder, attn_implementation="paged")


def test_H18_auto_classes(folder: Path) -> None:
    assert isinstance(hf.AutoModel.from_pretrained(folder), hf.BarkModel)
    assert isinstance(hf.AutoModelForTextToWaveform.from_pretrained(folder), hf.BarkModel)
    assert isinstance(hf.AutoTokenizer.from_pretrained(folder), hf.BarkTokenizer)


@pytest.mark.parametrize("dtype", [torch.float16, "bfloat16", "auto", torch.float64])
def test_B15_H19_dtype(folder: Path, processor: hf.BarkProcessor, dtype: Any) -> None:
    model = hf.BarkModel.from_pretrained(folder, dtype=dtype)
    expected = torch.float32 if dtype == "auto" else dtype
    assert str(model.dtype).endswith(str(expected).removeprefix("torch."))
    audio = model.generate(**processor("hello"), semantic_max_new_tokens=5)
    assert audio.dtype in (torch.float32, torch.float64)
    with pytest.raises(ParamError, match="allowed: auto"):
        hf.BarkModel.from_pretrained(folder, dtype="int8")


def test_H21_masked_ids_are_padding(model: hf.BarkModel, processor: hf.BarkProcessor) -> None:
    inputs = processor("hello")
    other = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, 33)
    greedy = {"do_sample": False, "temperature": 1.0}
    first = model.generate(inputs["input_ids"], attention_mask=inputs["attention_mask"], **greedy)
    assert torch.equal(
        model.generate(other, attention_mask=inputs["attention_mask"], **greedy), first
    )


def test_H22_min_eos_p_of_the_config_counts(folder: Path, processor: hf.BarkProcessor) -> None:
    model = hf.BarkModel.from_pretrained(folder)
    inputs = processor("hello there")
    assert model.generate(**inputs, semantic_max_new_tokens=4).shape[1] > 0
    model.generation_config.semantic_config.min_eos_p = 1e-9
    with pytest.raises(TextError, match="before it said anything"):
        model.generate(**inputs, semantic_max_new_tokens=4)
    audio = model.generate(**inputs, semantic_min_eos_p=None, semantic_max_new_tokens=4)
    assert audio.shape[1] > 0


def test_B13_H26_temperature_zero_is_greedy(folder: Path, processor: hf.BarkProcessor) -> None:
    """In a call and in a checkpoint, as the embedded one has it; transformers raises."""
    model = hf.BarkModel.from_pretrained(folder)
    inputs = processor("hello")
    greedy = model.generate(**inputs, do_sample=False, temperature=1.0)
    assert torch.equal(model.generate(**inputs, do_sample=True, temperature=0), greedy)
    for part in ("semantic_config", "coarse_acoustics_config", "fine_acoustics_config"):
        model.generation_config[part].update({"do_sample": True, "temperature": 0.0})
    assert torch.equal(model.generate(**inputs), greedy)
    with pytest.raises(ParamError, match="temperature is -1"):
        model.generate(**inputs, temperature=-1)


def test_H23_unknown_and_absent_options(model: hf.BarkModel, processor: hf.BarkProcessor) -> None:
    refused: list[tuple[dict[str, Any], str]] = [
        ({"temprature": 1}, "no option 'temprature'; allowed: bad_words_ids"),
        ({"coarse_max_new_tokens": 5}, "follow from the semantic tokens"),
        ({"guidance_scale": 3.0}, "no negative prompt"),
        ({"logits_processor": []}, "prefix_allowed_tokens_fn"),
        ({"num_beams": 0}, "num_beams is 0; allowed: from 1"),
        ({"num_beams": 2, "streamer": object()}, "None with num_beams above 1"),
        ({"num_return_sequences": 2, "do_sample": False}, "unless do_sample is True"),
        ({"num_return_sequences": 3, "num_beams": 2}, "up to num_beams"),
        ({"semantic_bad_words_ids": [[110]]}, r"token 110 .* allowed: 0\.\.109"),
        ({"semantic_prefix_allowed_tokens_fn": lambda row, ids: []}, "lists no token for row 0"),
    ]
    for options, message in refused:
        with pytest.raises(ParamError, match=message):
            model.generate(**processor("hello"), **options)


def test_H23_several_waveforms_of_one_text(
    model: hf.BarkModel, processor: hf.BarkProcessor
) -> None:
    inputs = processor(["hello", "there"])
    for options in ({"do_sample": True}, {"num_beams": 3}):
        audio = model.generate(
            **inputs, num_return_sequences=3, semantic_max_new_tokens=6, **options
        )
        assert len(audio) == 6


@pytest.mark.parametrize("beams", [1, 2])
def test_H23_stopping_early(model: hf.BarkModel, processor: hf.BarkProcessor, beams: int) -> None:
    def after_five(ids: Any, scores: Any) -> bool:
        return ids.shape[1] >= SLOTS + 1 + 5

    rules = model.generation_config.semantic_config
    options = {"min_new_tokens": 9, "num_beams": beams}
    ids = processor("hello")["input_ids"]
    stopped = model.semantic.generate(ids, rules, stopping_criteria=[after_five], **options)
    assert stopped.shape == (1, 5)
    alone = model.semantic.generate(ids, rules, stopping_criteria=after_five, **options)
    assert alone.shape == (1, 5)
    assert model.semantic.generate(ids, rules, max_time=1e-9, **options).shape == (1, 1)
    coarse = model.generation_config.coarse_acoustics_config
    brief = model.coarse_acoustics.generate(stopped, rules, coarse, 32, max_time=1e-9)
    assert brief.shape == (1, 2)  # two windows, one token each


def test_save_and_load(model: hf.BarkModel, processor: hf.BarkProcessor, tmp_path: Path) -> None:
    inputs = processor("hello")
    greedy = {"do_sample": False, "temperature": 1.0}
    model.save_pretrained(tmp_path / "m")
    again = hf.BarkModel.from_pretrained(tmp_path / "m")
    first, second = (one.generate(**inputs, **greedy) for one in (model, again))
    assert torch.allclose(first, second, atol=1e-5)  # weight norm is folded and unfolded
    with pytest.raises(ParamError, match="pickles"):
        model.save_pretrained(tmp_path / "m", safe_serialization=False)


def test_pickled_weights_and_a_vocabulary_file(
    folder: Path, model: hf.BarkModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The layout that is published: pytorch_model.bin and vocab.txt."""
    from safetensors.torch import load_file

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("OPENBARK_CACHE", str(tmp_path / "cache"))
    published = tmp_path / "published"
    published.mkdir()
    for name in ("config.json", "generation_config.json"):
        shutil.copy(folder / name, published / name)
    torch.save(load_file(folder / "model.safetensors"), published / "pytorch_model.bin")
    (published / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhello\n##s\n")
    loaded = hf.BarkModel.from_pretrained(published)
    assert torch.equal(loaded.semantic.lm_head.weight, model.semantic.lm_head.weight)
    ids = hf.AutoProcessor.from_pretrained(published)("hello hellos")["input_ids"]
    assert ids[0, :4].tolist() == [5, 5, 6, 0]


@pytest.mark.parametrize("kind", [IstftCodecConfig, HarmonicCodecConfig])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_openbarks_own_codecs(
    tmp_path: Path,
    processor: hf.BarkProcessor,
    dtype: str,
    kind: type[IstftCodecConfig] | type[HarmonicCodecConfig],
) -> None:
    """They have buffers that no file fills."""
    codec = kind(
        codebook_size=32, codebook_dim=8, encoder_dim=8, encoder_layers=1, decoder_dim=8, decoder_layers=1
    )  # fmt: skip
    assert hf.BarkConfig(codec_config=codec).codec_config == codec
    config = replace(BarkConfig.tiny(), codec=codec)
    save_checkpoint(tmp_path / "m", config, random_checkpoint(config), SUNO_PARAMS, None)
    model = hf.BarkModel.from_pretrained(tmp_path / "m", dtype=dtype)
    audio = model.generate(**processor("hello"), semantic_min_new_tokens=5)
    assert audio.dtype == torch.float32 and torch.isfinite(audio).all()
    model.save_pretrained(tmp_path / "again")
    again = hf.BarkModel.from_pretrained(tmp_path / "again")
    assert torch.equal(again.codec_model.decoder.window, model.codec_model.decoder.window)


def test_random_model_from_a_config(tmp_path: Path) -> None:
    sub = {"num_layers": 1, "num_heads": 1, "hidden_size": 4}
    model = hf.BarkModel(hf.BarkConfig(semantic_config=sub, coarse_acoustics_config=sub))
    assert model.semantic.num_parameters() > 0
    with pytest.raises(CheckpointCorruptError):
        model.save_pretrained(tmp_path / "m")


def test_H22_an_open_min_eos_p_is_said_once(
    folder: Path, processor: hf.BarkProcessor, caplog: pytest.LogCaptureFixture
) -> None:
    inputs = processor("hello", return_tensors=None)
    short = {"semantic_max_new_tokens": 4, "semantic_min_new_tokens": 4}
    model = hf.BarkModel.from_pretrained(folder)
    model.generate(**inputs, **short, min_eos_p=None)
    model.generation_config.semantic_config.min_eos_p = 0.2
    model.generate(**inputs, **short)
    assert caplog.messages == []
    model.generation_config.semantic_config.min_eos_p = None
    for _ in range(2):
        model.generate(**inputs, **short)
    (line,) = caplog.messages
    assert "semantic_config.min_eos_p = 0.2" in line


@pytest.mark.parametrize(
    ("key", "shape"),
    [("semantic_prompt", "[T]"), ("coarse_prompt", "[2, T]"), ("fine_prompt", "[8, T]")],
)
def test_B18_H27_a_voice_of_another_shape(
    model: hf.BarkModel, processor: hf.BarkProcessor, key: str, shape: str
) -> None:
    """Such as one voice for each row."""
    inputs = processor(["hello", "there"], voice_preset="en_0")
    inputs["history_prompt"][key] = inputs["history_prompt"][key].expand(
        2, *([-1] * (1 + (shape != "[T]")))
    )
    with pytest.raises(VoiceError, match=f"{key} has shape .* allowed: {re.escape(shape)}"):
        model.generate(**inputs)


def test_B15_H19_half_after_loading(folder: Path, processor: hf.BarkProcessor) -> None:
    """Half precision works on a CPU, and back; the codec and the waveform stay in float32."""
    model = hf.BarkModel.from_pretrained(folder)
    for change, kind in ((model.half, torch.float16), (model.float, torch.float32)):
        assert change() is model
        assert model.dtype == kind
        audio = model.generate(**processor("hello", voice_preset="en_0"), semantic_min_new_tokens=4)
        assert audio.dtype == torch.float32
        assert torch.isfinite(audio).all()
    assert model.to(torch.bfloat16).dtype == torch.bfloat16
    assert next(model.codec_model.parameters()).dtype == torch.float32

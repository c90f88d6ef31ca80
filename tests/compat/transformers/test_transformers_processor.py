"""Processor, tokenizer and voices of openbark.compat.transformers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from shim_models import SLOTS, codes, preset

from openbark.compat import transformers as hf
from openbark.errors import (
    ParamError,
    TextError,
    VoiceError,
)
from openbark.voices.voice import Voice


def test_B11_H29_end_token_first(folder: Path, processor: hf.BarkProcessor) -> None:
    model = hf.BarkModel.from_pretrained(folder)
    with pytest.raises(TextError, match="before it said anything"):
        model.generate(**processor("hello"), min_eos_p=1e-9)


def test_B17_H30_text_that_does_not_fit(processor: hf.BarkProcessor) -> None:
    with pytest.raises(TextError, match="17 tokens long"):
        processor(["a" * 17, "b"])
    assert processor(["a" * 17, "b"], truncation=True)["input_ids"].shape == (2, SLOTS)
    encoded = processor("ab", return_token_type_ids=True)
    assert encoded["input_ids"].dtype == torch.int64
    assert encoded["attention_mask"].sum() == 2
    assert encoded["token_type_ids"].sum() == 0
    with pytest.raises(TextError, match="empty"):
        processor("")


def test_H31_extra_keywords_with_a_voice(processor: hf.BarkProcessor) -> None:
    encoded = processor("hello", voice_preset="en_0", truncation=True)
    assert set(encoded["history_prompt"]) == set(preset())


def test_H32_voice_presets(processor: hf.BarkProcessor, folder: Path, tmp_path: Path) -> None:
    Voice.from_arrays(preset()).save(tmp_path / "mine.npz")
    for given in (preset(), str(tmp_path / "mine"), tmp_path / "mine.npz", "en_0"):
        history = processor("hello", voice_preset=given)["history_prompt"]
        assert history["coarse_prompt"].shape == (2, 30)
    wrong: list[Any] = [
        "nobody",
        7,
        {"semantic_prompt": np.arange(3)},
        preset() | {"fine_prompt": np.arange(8)},
    ]
    for given in wrong:
        with pytest.raises(VoiceError):
            processor("hello", voice_preset=given)


def test_B18_H33_unsigned_arrays(model: hf.BarkModel, processor: hf.BarkProcessor) -> None:
    inputs = processor("hello", voice_preset="v2/en_speaker_6")
    assert inputs["history_prompt"]["fine_prompt"].dtype == torch.int64
    assert model.generate(**inputs, semantic_max_new_tokens=6).shape[1] > 0
    raw = {key: torch.from_numpy(value.astype(np.uint16)) for key, value in preset().items()}
    assert model.generate(inputs["input_ids"], raw, semantic_max_new_tokens=6).shape[1] > 0
    with pytest.raises(VoiceError, match=r"0\.\.31"):
        model.generate(inputs["input_ids"], raw | {"fine_prompt": raw["fine_prompt"].int() + 9})


def test_H34_H35_H36_processor_folder(processor: hf.BarkProcessor, tmp_path: Path) -> None:
    assert processor.available_voice_presets == ["v2/en_speaker_6", "en_0"]
    processor.save_pretrained(tmp_path / "saved")
    stored = np.load(
        tmp_path / "saved" / "speaker_embeddings" / "v2" / "en_speaker_6_fine_prompt.npy"
    )
    assert (stored == codes()).all()
    again = hf.BarkProcessor.from_pretrained(tmp_path / "saved")
    assert sorted(again.available_voice_presets) == ["en_0", "v2/en_speaker_6"]
    assert torch.equal(again("hello")["input_ids"], processor("hello")["input_ids"])
    index_file = tmp_path / "saved" / "speaker_embeddings_path.json"
    index = json.loads(index_file.read_text())
    index["evil"] = {key: "../../secret.npy" for key in preset()}
    index_file.write_text(json.dumps(index))
    evil = hf.BarkProcessor.from_pretrained(tmp_path / "saved")
    with pytest.raises(VoiceError, match="outside the table"):
        evil("hello", voice_preset="evil")
    evil._verify_speaker_embeddings()
    assert "evil" not in evil.available_voice_presets


def test_H37_to_moves_the_voice(processor: hf.BarkProcessor) -> None:
    inputs = processor("hello", voice_preset="en_0").to("meta")
    assert inputs["input_ids"].device.type == "meta"
    assert inputs["history_prompt"]["semantic_prompt"].device.type == "meta"


def test_H37_dtype_and_conversion(processor: hf.BarkProcessor) -> None:
    inputs = processor("hello", voice_preset="en_0", return_tensors="np")
    assert isinstance(inputs["history_prompt"]["fine_prompt"], np.ndarray)
    inputs.convert_to_tensors("pt")
    moved = inputs.to(torch.float16)
    assert moved is inputs
    assert inputs.input_ids.dtype == inputs.history_prompt.fine_prompt.dtype == torch.int64
    assert set(inputs.data) == {"input_ids", "attention_mask", "history_prompt"}
    assert inputs.to("meta", torch.float16, non_blocking=True).input_ids.device.type == "meta"
    with pytest.raises(ParamError, match="return_tensors is 'tf'"):
        processor("hello", return_tensors="tf")


def test_H18_tokens_and_their_text(processor: hf.BarkProcessor) -> None:
    tokenizer = processor.tokenizer
    assert len(tokenizer) == tokenizer.vocab_size == len(tokenizer.get_vocab())
    tokens = tokenizer.tokenize("ab c")
    ids = tokenizer.convert_tokens_to_ids(tokens)
    assert tokenizer.convert_ids_to_tokens(ids) == tokens
    assert tokenizer.convert_ids_to_tokens(tokenizer.convert_tokens_to_ids("a")) == "a"
    assert ids == tokenizer.encode("ab c")
    assert processor.decode(torch.tensor(ids)).replace(" ", "") == "abc"
    assert processor.batch_decode([ids, ids[:1]])[1] == "a"
    with pytest.raises(TextError, match="'ab' is not a token"):
        tokenizer.convert_tokens_to_ids("ab")
    with pytest.raises(TextError, match="token 999 is none"):
        tokenizer.convert_ids_to_tokens([999])


def test_H32_voices_of_the_user_and_names_of_suno_s(
    tiny_checkpoint_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A preset's name is the user's file of that name; else one of the model's own voices, and that is said."""
    own = tmp_path / "model"
    shutil.copytree(tiny_checkpoint_dir, own)
    (own / "voices").mkdir()
    for name, first in (("en_0", 1), ("en_1", 2)):
        Voice.from_arrays(preset() | {"semantic_prompt": np.full(20, first)}).save(
            own / "voices" / f"{name}.npz"
        )
    processor = hf.BarkProcessor.from_pretrained(own)
    history = processor("hello", voice_preset="v2/en_speaker_7")["history_prompt"]
    assert history["semantic_prompt"][0] == 2
    assert caplog.messages == [
        "this model has no preset v2/en_speaker_7; its own voice en_1 stands in for it"
    ]
    mine = tmp_path / "mine" / "v2"
    mine.mkdir(parents=True)
    Voice.from_arrays(preset() | {"semantic_prompt": np.full(20, 3)}).save(
        mine / "en_speaker_7.npz"
    )
    monkeypatch.setenv("OPENBARK_VOICES", str(mine.parent))
    history = processor("hello", voice_preset="v2/en_speaker_7")["history_prompt"]
    assert history["semantic_prompt"][0] == 3
    assert processor.available_voice_presets == ["en_0", "en_1"]


def test_H34_a_table_that_is_not_there_is_said(
    tiny_checkpoint_dir: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert hf.BarkProcessor.from_pretrained(folder).available_voice_presets
    assert hf.BarkProcessor.from_pretrained(folder, None).available_voice_presets == ["en_0"]
    assert caplog.messages == []
    hf.BarkProcessor.from_pretrained(tiny_checkpoint_dir)
    hf.BarkProcessor.from_pretrained(folder, "other.json")
    assert ["other.json" in line for line in caplog.messages] == [False, True]

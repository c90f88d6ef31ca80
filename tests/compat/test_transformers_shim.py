"""openbark.compat.transformers on its own: configs, processor, pipeline, folders, errors."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from openbark.checkpoints import random_checkpoint, save_checkpoint  # noqa: E402
from openbark.compat import transformers as hf  # noqa: E402
from openbark.config import BarkConfig, IstftCodecConfig  # noqa: E402
from openbark.errors import (  # noqa: E402
    CheckpointCorruptError,
    DeviceError,
    ParamError,
    TextError,
    TrainingError,
    VoiceError,
)
from openbark.params import SUNO_PARAMS  # noqa: E402
from openbark.voices.voice import Voice  # noqa: E402

SLOTS = 16


def codes() -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(0, 32, (8, 30))


def preset() -> dict[str, np.ndarray[Any, Any]]:
    return {"semantic_prompt": np.arange(20), "coarse_prompt": codes()[:2], "fine_prompt": codes()}


@pytest.fixture(scope="module")
def folder(tiny_checkpoint_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny checkpoint with a voice of its own and one in transformers' index, in uint16."""
    copy = tmp_path_factory.mktemp("shim") / "tiny"
    shutil.copytree(tiny_checkpoint_dir, copy)
    (copy / "voices").mkdir()
    Voice.from_arrays(preset()).save(copy / "voices" / "en_0.npz")
    (copy / "speaker_embeddings" / "v2").mkdir(parents=True)
    entry = {}
    for key, array in preset().items():
        entry[key] = f"speaker_embeddings/v2/en_speaker_6_{key}.npy"
        np.save(copy / entry[key], array.astype(np.uint16))
    index = {"repo_or_path": "somebody/else", "v2/en_speaker_6": entry}
    (copy / "speaker_embeddings_path.json").write_text(json.dumps(index))
    return copy


@pytest.fixture(scope="module")
def model(folder: Path) -> hf.BarkModel:
    return hf.BarkModel.from_pretrained(folder)


@pytest.fixture(scope="module")
def processor(folder: Path) -> hf.BarkProcessor:
    return hf.AutoProcessor.from_pretrained(folder)


def test_transformers_is_never_imported() -> None:
    code = (
        "import sys, openbark.compat.transformers\n"
        "sys.exit(any(name in sys.modules for name in ('transformers', 'scipy', 'accelerate')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_H1_H2_sub_configs() -> None:
    config = hf.BarkSemanticConfig(num_hidden_layers=3, vocab_size=11)
    assert (config.num_layers, config.input_vocab_size, config.window_size) == (3, 11, 1024)
    assert (config.hidden_size, config.bias, config.use_cache) == (768, True, True)
    config.num_attention_heads = 4
    assert config.num_heads == 4
    assert hf.BarkSemanticConfig.from_dict(config.to_dict()) == config
    assert (hf.BarkFineConfig().n_codes_total, hf.BarkFineConfig().n_codes_given) == (8, 1)
    with pytest.raises(ParamError, match="num_layer'"):
        hf.BarkSemanticConfig(num_layer=3)


def test_H3_config(folder: Path, tmp_path: Path) -> None:
    config = hf.AutoConfig.from_pretrained(folder)
    assert config.coarse_acoustics_config.hidden_size == 16
    assert config.codec_config.sampling_rate == 24_000
    config.save_pretrained(tmp_path)
    assert hf.BarkConfig.from_pretrained(tmp_path) == config
    small = hf.BarkConfig(semantic_config={"num_layers": 1}, codec_config={"hidden_size": 64})
    assert small.semantic_config.num_layers == 1
    assert small.codec_config.codebook_dim == 64
    assert not hasattr(hf.BarkConfig, "from_sub_model_configs")


def test_H4_H5_H6_generation_config_defaults() -> None:
    semantic = hf.BarkSemanticGenerationConfig()
    assert (semantic.eos_token_id, semantic.semantic_pad_token) == (10_000, 10_000)
    assert (semantic.do_sample, semantic.temperature, semantic.min_eos_p) == (False, 1.0, None)
    assert hf.BarkSemanticGenerationConfig(eos_token_id=7).semantic_pad_token == 7
    coarse = hf.BarkCoarseGenerationConfig()
    assert (coarse.max_coarse_history, coarse.sliding_window_len) == (630, 60)
    assert hf.BarkFineGenerationConfig().max_fine_history_length == 512


def test_H7_generation_config_works_on_a_model(
    model: hf.BarkModel, processor: hf.BarkProcessor
) -> None:
    """transformers raises TypeError or AttributeError here."""
    own = model.generation_config
    rebuilt = hf.BarkGenerationConfig.from_sub_model_configs(
        own.semantic_config, own.coarse_acoustics_config, own.fine_acoustics_config, 24_000, 32
    )
    inputs = processor("hello there")
    greedy = {"do_sample": False, "temperature": 1.0}
    first = model.generate(**inputs, **greedy)
    assert torch.equal(model.generate(**inputs, **greedy, generation_config=rebuilt), first)
    assert torch.equal(
        model.generate(**inputs, **greedy, generation_config=rebuilt.to_dict()), first
    )
    assert dict(**own.semantic_config)["text_encoding_offset"] == 110


def test_H8_labels_are_refused(model: hf.BarkModel) -> None:
    ids = torch.zeros((1, 3), dtype=torch.int64)
    with pytest.raises(TrainingError, match=r"openbark\.training"):
        model.semantic(ids, labels=ids)
    with pytest.raises(ParamError, match=r"codebook_idx is 0; legal: 1\.\.7"):
        model.fine_acoustics(0, torch.zeros((1, 32, 8), dtype=torch.int64))


def test_H9_widths(model: hf.BarkModel) -> None:
    """Fewer ids than slots crash there, more are cut silently there."""
    config = model.generation_config.semantic_config
    short = torch.arange(1, 6)[None]
    wide = torch.cat([short, torch.zeros((1, SLOTS), dtype=torch.int64)], dim=1)
    mask = (torch.arange(wide.shape[1]) < 5).long()[None]
    greedy = {"do_sample": False, "temperature": 1.0}
    narrow = model.semantic.generate(short, config, **greedy)
    assert torch.equal(model.semantic.generate(wide, config, attention_mask=mask, **greedy), narrow)
    with pytest.raises(TextError, match="21 tokens long"):
        model.semantic.generate(wide, config)
    with pytest.raises(ParamError, match="semantic_generation_config"):
        model.semantic.generate(short)


def test_H10_semantic_output_is_left_alone(model: hf.BarkModel) -> None:
    own = model.generation_config
    tokens = torch.tensor([[1, 2, 3, 4, 100, 100]])
    before = tokens.clone()
    model.coarse_acoustics.generate(
        tokens, own.semantic_config, own.coarse_acoustics_config, own.codebook_size
    )
    assert torch.equal(tokens, before)


def test_H11_resize(folder: Path) -> None:
    fine = hf.BarkModel.from_pretrained(folder).fine_acoustics
    fine.resize_token_embeddings(40, pad_to_multiple_of=16)
    assert fine.config.output_vocab_size == 48
    assert fine.lm_heads[0].weight is fine.input_embeds_layers[1].weight
    assert fine(1, torch.zeros((1, 4, 8), dtype=torch.int64)).logits.shape == (1, 4, 48)


def test_H13_codec_decode_one_by_one(model: hf.BarkModel) -> None:
    fine = torch.from_numpy(np.stack([codes(), codes()]))
    whole = model.codec_decode(fine)
    parts = model.codec_decode(fine, [30, 11])
    assert [len(part) for part in parts] == [30 * 320, 11 * 320]
    assert torch.allclose(parts[0], whole[0], atol=1e-6)


def test_H14_H15_offload(folder: Path, processor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = hf.BarkModel.from_pretrained(folder)
    if not torch.accelerator.is_available():
        with pytest.raises(DeviceError, match="leave the call out"):
            model.enable_cpu_offload()
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cpu"))
    model.enable_cpu_offload()
    assert model.device == torch.device("cpu", 0)
    assert model.generate(**processor("hello"), do_sample=False).shape[0] == 1


@pytest.mark.parametrize("name", [None, "eager", "sdpa", "flash_attention_2"])
def test_H16_attention(folder: Path, name: str | None) -> None:
    assert hf.BarkModel.from_pretrained(folder, attn_implementation=name) is not None
    with pytest.raises(ParamError, match="legal: None, eager"):
        hf.BarkModel.from_pretrained(folder, attn_implementation="paged")


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


def test_H18_auto_classes(folder: Path) -> None:
    assert isinstance(hf.AutoModel.from_pretrained(folder), hf.BarkModel)
    assert isinstance(hf.AutoModelForTextToWaveform.from_pretrained(folder), hf.BarkModel)
    assert isinstance(hf.AutoTokenizer.from_pretrained(folder), hf.BarkTokenizer)


@pytest.mark.parametrize("dtype", [torch.float16, "bfloat16", "auto", torch.float64])
def test_H19_dtype(folder: Path, processor: hf.BarkProcessor, dtype: Any) -> None:
    model = hf.BarkModel.from_pretrained(folder, dtype=dtype)
    expected = torch.float32 if dtype == "auto" else dtype
    assert str(model.dtype).endswith(str(expected).removeprefix("torch."))
    audio = model.generate(**processor("hello"), semantic_max_new_tokens=5)
    assert audio.dtype in (torch.float32, torch.float64)
    with pytest.raises(ParamError, match="legal: auto"):
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


def test_H26_temperature_zero_is_greedy(folder: Path, processor: hf.BarkProcessor) -> None:
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
        ({"temprature": 1}, "no option 'temprature'; legal: bad_words_ids"),
        ({"coarse_max_new_tokens": 5}, "follow from the semantic tokens"),
        ({"guidance_scale": 3.0}, "no negative prompt"),
        ({"logits_processor": []}, "prefix_allowed_tokens_fn"),
        ({"num_beams": 0}, "num_beams is 0; legal: from 1"),
        ({"num_beams": 2, "streamer": object()}, "None with num_beams above 1"),
        ({"num_return_sequences": 2, "do_sample": False}, "unless do_sample is True"),
        ({"num_return_sequences": 3, "num_beams": 2}, "up to num_beams"),
        ({"semantic_bad_words_ids": [[110]]}, r"token 110 .* legal: 0\.\.109"),
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
    assert model.semantic.generate(ids, rules, max_time=1e-9, **options).shape == (1, 1)
    coarse = model.generation_config.coarse_acoustics_config
    brief = model.coarse_acoustics.generate(stopped, rules, coarse, 32, max_time=1e-9)
    assert brief.shape == (1, 2)  # two windows, one token each


def test_H29_end_token_first(folder: Path, processor: hf.BarkProcessor) -> None:
    model = hf.BarkModel.from_pretrained(folder)
    with pytest.raises(TextError, match="before it said anything"):
        model.generate(**processor("hello"), min_eos_p=1e-9)


def test_H30_text_that_does_not_fit(processor: hf.BarkProcessor) -> None:
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


def test_H33_unsigned_arrays(model: hf.BarkModel, processor: hf.BarkProcessor) -> None:
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


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_the_embedded_models_codec(tmp_path: Path, processor: hf.BarkProcessor, dtype: str) -> None:
    """The istft codec has buffers that no file fills."""
    codec = IstftCodecConfig(
        codebook_size=32, codebook_dim=8, encoder_dim=8, encoder_layers=1, decoder_dim=8, decoder_layers=1
    )  # fmt: skip
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

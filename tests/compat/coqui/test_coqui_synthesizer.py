"""`tts.synthesizer`, the manager of models, devices and networks, as scripts use them (C1, C2, C30-C34)."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openbark.compat.coqui import TTS, Bark, BarkConfig
from openbark.errors import (
    AudioError,
    CheckpointUnsupportedError,
    DeviceError,
    ParamError,
    TextError,
)

torch = pytest.importorskip("torch")

NAME = "tts_models/multilingual/multi-dataset/bark"


@pytest.fixture
def tts(tiny_checkpoint_dir: Path) -> TTS:
    return TTS(NAME, model_path=tiny_checkpoint_dir, progress_bar=False)


def test_c31_the_synthesizer_speaks_as_tts_does(tts: TTS) -> None:
    synthesizer = tts.synthesizer
    assert synthesizer is tts.synthesizer
    assert synthesizer.output_sample_rate == 24_000 and not synthesizer.use_cuda
    assert isinstance(synthesizer.tts_model, Bark) and synthesizer.tts_model is tts.model
    assert isinstance(synthesizer.tts_config, BarkConfig) and synthesizer.vocoder_model is None
    assert synthesizer.split_into_sentences("One. Two.") == ["One.", "Two."]
    torch.manual_seed(3)
    first = tts.tts("one", max_gen_duration_s=0.1)
    torch.manual_seed(3)
    assert synthesizer.tts("one", max_gen_duration_s=0.1) == first


@pytest.mark.parametrize("form", ["list", "array", "tensor", "row"])
def test_c33_save_wav_takes_what_tts_returns(tts: TTS, tmp_path: Path, form: str) -> None:
    samples = [0.0, 0.25, -0.5]
    given: Any = {
        "list": samples,
        "array": np.array(samples),
        "tensor": torch.tensor(samples),
        "row": torch.tensor([samples]),
    }[form]
    tts.synthesizer.save_wav(given, tmp_path / "x.wav")
    with wave.open(str(tmp_path / "x.wav")) as file:
        assert file.getframerate() == 24_000
        read = np.frombuffer(file.readframes(9), dtype="<i2")
    assert read.tolist() == [0, 16383, -32767]


@pytest.mark.parametrize("given", [None, "sound", [[0.0, 1.0], [1.0, 0.0]], [float("nan")]])
def test_c33_save_wav_refuses_what_is_not_sound(tts: TTS, tmp_path: Path, given: Any) -> None:
    with pytest.raises(AudioError, match="wav"):
        tts.synthesizer.save_wav(given, tmp_path / "x.wav")
    assert not (tmp_path / "x.wav").exists()


def test_c33_a_home_folder_is_expanded(
    tts: TTS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    tts.synthesizer.save_wav([0.0], "~/x.wav")
    tts.tts_to_file("one", file_path="~/y.wav", max_gen_duration_s=0.1)
    assert (tmp_path / "x.wav").is_file() and (tmp_path / "y.wav").is_file()


def test_c34_list_models_is_a_list_and_a_manager(tts: TTS) -> None:
    for models in (TTS.list_models(), tts.list_models(), tts.manager):
        assert models == [NAME] == models.list_models() == models.list_tts_models()
        assert models[0] == NAME and models.list_vocoder_models() == models.list_vc_models() == []
        assert models.list_langs() == ["multilingual"] and models.list_datasets() == [
            "multi-dataset"
        ]
    with pytest.raises(CheckpointUnsupportedError, match="openbark models download"):
        tts.manager.download_model("tts_models/en/ljspeech/vits")


def test_c30_moving(tts: TTS) -> None:
    assert tts.to("cpu") is tts and tts.cpu() is tts and tts.eval() is tts
    assert tts.model.cpu() is tts.model and tts.synthesizer.tts_model.to("cpu") is tts.model
    if not torch.cuda.is_available():
        for move in (tts.cuda, tts.model.cuda, lambda: tts.cuda(0)):
            with pytest.raises(DeviceError, match="cuda"):
                move()


def test_c1_c2_the_networks_of_the_model(tts: TTS) -> None:
    model = tts.synthesizer.tts_model
    torch.manual_seed(3)
    before = tts.tts("one", max_gen_duration_s=0.1)
    codes = model.encodec.encode(torch.zeros(1, 1, 4800))[0][0]
    assert codes.ndim == 3 and model.encodec.sample_rate == 24_000
    assert sum(weight.numel() for weight in model.parameters()) > 0
    for name in ("semantic_model", "coarse_model", "fine_model"):
        assert getattr(model, name).eval() is getattr(model, name)
    torch.manual_seed(3)
    assert np.allclose(tts.tts("one", max_gen_duration_s=0.1), before, atol=1e-4)
    with pytest.raises(AttributeError, match="has no 'vocoder'"):
        _ = model.vocoder


@pytest.mark.parametrize("text", [None, 3, ["one"], b"one"])
def test_c31_other_types_than_text(tts: TTS, text: Any) -> None:
    for speak in (tts.tts, tts.synthesizer.tts, tts.model.synthesize):
        with pytest.raises(TextError, match="allowed: a str"):
            speak(text)
    with pytest.raises(TextError):
        tts.tts("")
    with pytest.raises(ParamError, match="language is 'en'; allowed: None"):
        tts.synthesizer.tts("one", language_name="en")


def test_a43_fields_are_items_too() -> None:
    config = BarkConfig()
    assert config["SAMPLE_RATE"] == config.SAMPLE_RATE == config.get("SAMPLE_RATE")
    assert config.audio["sample_rate"] == 24_000 and "model" in config
    assert (
        config.get("nothing", 5) == 5 and config.to_dict()["audio"]["output_sample_rate"] == 24_000
    )
    config.update({"num_chars": 3})
    assert dict(config.items())["num_chars"] == 3
    with pytest.raises(KeyError):
        config["nothing"] = 1

"""Coqui's Bark: rows C1-C10, C20, C21, C30-C34 of the parity list."""

from __future__ import annotations

import dataclasses
import math
import re
import wave
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from openbark.cli.main import cli
from openbark.compat.coqui import TTS, Bark, BarkConfig
from openbark.compat.coqui.sentences import split_sentences
from openbark.compat.coqui.speech_options import SpeechOptions
from openbark.compat.coqui.wav_file import normalized_wav
from openbark.errors import (
    CheckpointNotFoundError,
    CheckpointUnsupportedError,
    ParamError,
    TextError,
    TrainingError,
    VoiceError,
)
from openbark.params import SUNO_PARAMS, GenerationParams, SamplingParams

MODEL = "tts_models/multilingual/multi-dataset/bark"
DOCUMENT = Path(__file__).parents[4] / "shared" / "upstream" / "coqui-bark.md"


@pytest.fixture
def model(tiny_checkpoint_dir: Path) -> Bark:
    config = BarkConfig()
    model = Bark.init_from_config(config)
    model.load_checkpoint(config, checkpoint_dir=tiny_checkpoint_dir, eval=True)
    return model


@pytest.mark.skipif(not DOCUMENT.is_file(), reason="the upstream page is not here")
def test_bark_config_has_every_documented_field() -> None:
    page = DOCUMENT.read_text(encoding="utf-8")
    signature = page[page.index("class TTS.tts.configs") :].partition("```")[0]
    found = re.findall(r"(\w+)=('[^']*'|<factory>|[^,)\s]+)", signature)
    documented = dict(found)
    fields = {item.name: item for item in dataclasses.fields(BarkConfig)}
    assert list(fields) == list(documented)
    for name, text in documented.items():
        value = fields[name].default
        if text == "<factory>" or name in ("CACHE_DIR", "DEF_SPEAKER_DIR"):
            assert fields[name].default_factory is not dataclasses.MISSING
        elif text == "inf":
            assert value == math.inf
        else:
            assert repr(value) == text or value == float(text), name


def test_C3_folders_come_from_the_environment(coqui_home: Path) -> None:
    config = BarkConfig(CACHE_DIR="mine", USE_SMALLER_MODELS=True)
    assert (config.CACHE_DIR, config.USE_SMALLER_MODELS) == ("mine", True)
    assert str(coqui_home / "suno" / "bark_v0") == BarkConfig().CACHE_DIR
    assert str(coqui_home / "bark_v0" / "speakers") == BarkConfig().DEF_SPEAKER_DIR
    assert BarkConfig().audio.output_sample_rate == 24_000


def test_C1_C2_nothing_is_loaded_before_it_is_asked_for() -> None:
    model = Bark(BarkConfig(), tokenizer=None)
    with pytest.raises(CheckpointNotFoundError, match="load_checkpoint"):
        model.synthesize("Hi.", BarkConfig())
    model.load_bark_models()
    assert model.bark.config.name == "tiny"


def test_C4_C5_both_forms_of_synthesize(model: Bark, voice_folder: Path) -> None:
    config = model.config
    documented = model.synthesize("Hi there.", config, speaker_id="random", voice_dirs=None)
    assert set(documented) == {"wav", "text_inputs"}
    assert documented["text_inputs"] == "Hi there."
    assert documented["wav"].ndim == 1
    assert model.synthesize(
        "Hi there.", config, speaker_id="ljspeech", voice_dirs=[str(voice_folder)]
    )
    assert model.synthesize("Hi there.", speaker="ljspeech", voice_dir=f"{voice_folder}/")


def test_C6_C7_C10_tokens_and_history(model: Bark, voice_folder: Path) -> None:
    torch = pytest.importorskip("torch")
    arrays = model.load_voice_file("ljspeech", voice_folder)
    history = tuple(arrays.values())
    torch.manual_seed(2)
    waveform, tokens = model.generate_audio("Hi there.", history)
    semantic, coarse, fine = tokens
    assert (coarse.shape[0], fine.shape[0]) == (2, 8)
    assert waveform.shape == (fine.shape[1] * 320,)
    torch.manual_seed(2)
    again = model.text_to_semantic("Hi there.", (None, None, None), base=history)
    assert again.tolist() == semantic.tolist()
    torch.manual_seed(2)
    assert model.generate_audio("Hi there.", None)[1][0].tolist() != semantic.tolist()
    with pytest.raises(VoiceError, match="three arrays"):
        model.generate_audio("Hi.", history[:2])
    with pytest.raises(VoiceError, match="lacks coarse_prompt, fine_prompt"):
        model.text_to_semantic("Hi.", (history[0], None, None))


def test_B1_what_is_not_given_is_the_checkpoint_s_own() -> None:
    cool = SamplingParams(temperature=0.2, min_eos_p=None)
    own = GenerationParams(semantic=cool, coarse=cool, fine=cool)
    left, given = SpeechOptions(), SpeechOptions(0.7, 0.7, min_eos_p=0.2)
    assert (left.semantic(own), left.coarse(own), left.fine(own)) == (cool, cool, cool)
    assert given.semantic(own) == SamplingParams(temperature=0.7, min_eos_p=0.2)
    assert given.coarse(own).temperature == 0.7
    assert left.semantic(SUNO_PARAMS) == given.semantic(own)
    assert left.fine(SUNO_PARAMS).temperature == 0.5


def test_C8_voices_of_a_folder(model: Bark, voice_folder: Path) -> None:
    assert set(model.get_voices(voice_folder)) == {"ljspeech", "new_speaker"}


def test_C9_training_is_elsewhere(model: Bark) -> None:
    for stub in (model.train_step, model.forward, model.inference, model.eval_step):
        with pytest.raises(TrainingError, match="openbark train"):
            stub()


@pytest.mark.parametrize(
    ("speaker", "message"),
    [
        ("ljspeach", "unknown voice 'ljspeach' in .*did you mean 'ljspeech'"),
        ("new_speaker", r"has to be cloned from .*speaker\.mp3"),
    ],
)
def test_C20_a_missing_voice_is_named(
    model: Bark, voice_folder: Path, speaker: str, message: str
) -> None:
    with pytest.raises(VoiceError, match=message):
        model.synthesize("Hi.", model.config, speaker_id=speaker, voice_dirs=str(voice_folder))


def test_C32_a_speaker_without_a_folder(model: Bark) -> None:
    with pytest.raises(ValueError, match="unknown voice 'ljspeech'"):
        model.synthesize("Hi.", model.config, speaker_id="ljspeech")


def test_C30_other_models_are_refused(tiny_checkpoint_dir: Path) -> None:
    with pytest.raises(CheckpointUnsupportedError, match="Bark only"):
        TTS("tts_models/en/ljspeech/vits")
    with pytest.raises(ParamError, match="no vocoder"):
        TTS(MODEL, vocoder_path="x")
    assert TTS(model_name="", model_path=tiny_checkpoint_dir).to("cpu").models == [MODEL]


def test_C36_other_models_work_is_refused() -> None:
    tts = TTS(MODEL, progress_bar=False)
    for call in (tts.voice_conversion, tts.tts_with_vc):
        with pytest.raises(CheckpointUnsupportedError, match="other models than Bark"):
            call("a.wav", "b.wav")


def test_C4_C6_C7_C31_unknown_keywords_are_refused(model: Bark) -> None:
    """Coqui ignores them, misspelt ones included."""
    calls = (
        lambda: model.synthesize("Hi.", text_temperature=0.1),
        lambda: model.generate_audio("Hi.", top_q=1),
        lambda: model.text_to_semantic("Hi.", seed=1),
        lambda: TTS(MODEL, progress_bar=False).tts("Hi.", tempo=2),
    )
    for call in calls:
        with pytest.raises(TypeError, match="unexpected keyword"):
            call()


def test_C31_nothing_to_say(tmp_path: Path) -> None:
    with pytest.raises(TextError, match="write at least one word"):
        TTS(MODEL, progress_bar=False).tts_to_file(" ", file_path=tmp_path / "o.wav")
    assert not (tmp_path / "o.wav").exists()


def test_C31_a_pause_after_every_sentence(voice_folder: Path) -> None:
    tts = TTS(MODEL, progress_bar=False)
    options = {"speaker": "ljspeech", "voice_dir": f"{voice_folder}/"}
    samples = tts.tts("Hi there. How are you?", **options)
    assert isinstance(samples, list)
    assert samples[-10_000:] == [0.0] * 10_000
    silence = np.array(samples) == 0
    runs = np.diff(np.flatnonzero(np.diff(np.concatenate([[0], silence, [0]]))))[::2]
    assert (runs >= 10_000).sum() == 2
    whole = tts.tts("Hi there. How are you?", split_sentences=False, **options)
    assert whole[-10_000:] == [0.0] * 10_000
    with pytest.raises(ParamError, match="language is 'en'"):
        tts.tts("Hi.", language="en")


def test_C31_sentences() -> None:
    text = 'Hello, Dr. Smith. "Is it 3.5?" Yes! See e.g. this one.'
    assert split_sentences(text) == [
        "Hello, Dr. Smith.",
        '"Is it 3.5?"',
        "Yes!",
        "See e.g. this one.",
    ]
    assert split_sentences("no end") == ["no end"]
    assert split_sentences("你好。再见！") == ["你好。", "再见！"]
    assert split_sentences("") == []


def test_C33_files_are_normalized(tmp_path: Path, voice_folder: Path) -> None:
    tts = TTS(MODEL, progress_bar=False)
    assert tts.tts_to_file("Hi there.", file_path="out.wav") == "out.wav"
    with wave.open("out.wav") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 24_000)
        codes = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
    assert np.abs(codes.astype(int)).max() == 32_767
    data = normalized_wav([0.5, -0.25, 0.0], 24_000)
    assert np.frombuffer(data[44:], dtype="<i2").tolist() == [32_767, -16_383, 0]
    quiet = normalized_wav([0.001], 24_000)
    assert np.frombuffer(quiet[44:], dtype="<i2").tolist() == [3276]


def run(*args: str) -> Result:
    return CliRunner().invoke(cli, ["coqui", *args], prog_name="openbark")


def test_C34_the_documented_command_lines(voice_folder: Path) -> None:
    common = ("--model_name", MODEL, "--text", "This is an example.", "--out_path", "output.wav")
    known = ("--voice_dir", "bark_voices/", "--speaker_idx", "ljspeech", "--progress_bar", "True")
    for args in ((*common, *known), (*common, "--progress_bar", "True")):
        result = run(*args)
        assert result.exit_code == 0, result.output
        assert Path("output.wav").stat().st_size > 20_000
        Path("output.wav").unlink()


def test_C34_lists_and_pipes(voice_folder: Path) -> None:
    assert run("--list_models").stdout == f"{MODEL}\n"
    assert run("--list_speaker_idxs", "--voice_dir", "bark_voices").stdout.split() == [
        "ljspeech",
        "new_speaker",
    ]
    result = run("--text", "Hi.", "--pipe_out", "--progress_bar", "false")
    assert result.stdout_bytes.startswith(b"RIFF")
    assert Path("tts_output.wav").read_bytes() == result.stdout_bytes


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "give a --text"),
        (("--text", "Hi.", "--voice_dir", "gone"), "no voice folder at gone"),
        (("--text", "Hi.", "--progress_bar", "perhaps"), "perhaps"),
        (("--text", "Hi.", "--speaker_wav", "a.wav"), "cloning"),
        (("--text", "Hi.", "--language_idx", "en"), "language is 'en'"),
    ],
)
def test_C34_mistakes_are_named(args: tuple[str, ...], message: str) -> None:
    result = run(*args)
    assert result.exit_code == 2
    assert message in result.output

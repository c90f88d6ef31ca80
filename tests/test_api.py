from __future__ import annotations

import io
import json
import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
from tokenizers import Tokenizer as Rules
from tokenizers.models import WordLevel

import openbark
from openbark.api import Bark
from openbark.assets import has_embedded
from openbark.checkpoints.find import find_checkpoint
from openbark.config import BarkConfig
from openbark.errors import (
    CancelledError,
    CheckpointCorruptError,
    CheckpointNotFoundError,
    DeviceError,
    MissingExtraError,
    ParamError,
    TextError,
    VoiceError,
)
from openbark.params import GenerationParams, SamplingParams
from openbark.result import Clip
from openbark.text.tokenizer import Tokenizer
from openbark.voices.library import VoiceLibrary
from openbark.voices.voice import Voice

if TYPE_CHECKING:
    from openbark.backends.torch.backend import TorchBackend

LONG = GenerationParams(max_semantic_tokens=24, allow_early_stop=False)


def make_voice(name: str | None = "me") -> Voice:
    codes = np.random.default_rng(0).integers(0, 32, (8, 30))
    return Voice(semantic=np.arange(20), coarse=codes[:2], fine=codes, name=name)


@pytest.fixture(scope="module")
def folder(tiny_checkpoint_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny checkpoint with two voices of its own."""
    copy = tmp_path_factory.mktemp("api") / "tiny"
    shutil.copytree(tiny_checkpoint_dir, copy)
    (copy / "voices").mkdir()
    for name in ("en_0", "en_1"):
        make_voice().save(copy / "voices" / f"{name}.npz")
    return copy


@pytest.fixture(scope="module")
def bark(folder: Path) -> Bark:
    pytest.importorskip("torch")
    return Bark.load(folder, threads=1)


@pytest.fixture(scope="module")
def clip(bark: Bark) -> Clip:
    return bark.generate("Hello there.", voice="en_0", seed=7, params=LONG)


def test_clip_says_how_it_came_to_be(bark: Bark, clip: Clip) -> None:
    n_frames = int(24 * 75 / 49.9)
    assert clip.waveform.dtype == np.float32
    assert clip.waveform.shape == (n_frames * 320,)
    assert clip.tokens.semantic.shape == (24,)
    assert clip.tokens.coarse.shape == (2, n_frames)
    assert clip.tokens.fine.shape == (8, n_frames)
    assert (clip.sample_rate, bark.sample_rate) == (24_000, 24_000)
    assert clip.seconds == pytest.approx(n_frames / 75)
    assert (clip.seed, clip.voice, clip.text) == (7, "en_0", "Hello there.")
    assert clip.stop_reason == "max_tokens"
    assert set(clip.timings) == {"semantic", "coarse", "fine", "codec"}
    assert clip.real_time_factor == pytest.approx(clip.wall_seconds / clip.seconds)
    assert clip.n_text_tokens == len("Hello there.")
    assert clip.params.semantic == bark.default_params.semantic


def test_same_seed_same_clip_and_the_seed_is_reported(bark: Bark) -> None:
    drawn = bark.generate("Hi.", params=LONG)
    again = bark.generate("Hi.", params=LONG, seed=drawn.seed)
    other = bark.generate("Hi.", params=LONG, seed=drawn.seed ^ 1)
    assert np.array_equal(again.waveform, drawn.waveform)
    assert not np.array_equal(other.tokens.semantic, drawn.tokens.semantic)


def test_every_way_to_name_a_voice_is_the_same_voice(bark: Bark, folder: Path) -> None:
    voice = make_voice()
    arrays = {
        "semantic_prompt": voice.semantic,
        "coarse_prompt": voice.coarse,
        "fine_prompt": voice.fine,
    }
    path = folder / "voices" / "en_1.npz"
    short = GenerationParams(max_semantic_tokens=3, allow_early_stop=False)

    def speak(given: openbark.api.VoiceLike | None) -> Clip:
        return bark.generate("Hi.", voice=given, seed=3, params=short)

    expected = speak("en_1")
    with np.load(path) as opened:
        for given in (voice, path, str(path), arrays, opened):
            assert np.array_equal(speak(given).waveform, expected.waveform)
    assert not np.array_equal(speak(None).waveform, expected.waveform)
    assert speak(arrays).voice == "unnamed"
    assert speak(path).voice == "en_1"
    assert speak(None).voice is None


def test_a_clip_becomes_a_voice(bark: Bark, clip: Clip, tmp_path: Path) -> None:
    voice = clip.as_voice("mine", {"language": "en"})
    voice.save(tmp_path / "mine.npz")
    again = bark.generate("Hi.", voice=tmp_path / "mine.npz", seed=1, params=LONG)
    assert again.voice == "mine"
    metadata = Voice.load(tmp_path / "mine.npz").metadata
    assert (metadata["seed"], metadata["text"], metadata["language"]) == (7, "Hello there.", "en")


def test_a_clip_too_short_for_a_voice_says_so(bark: Bark) -> None:
    tiny = bark.generate(
        "Hi.", seed=1, params=GenerationParams(max_semantic_tokens=1, allow_early_stop=False)
    )
    with pytest.raises(VoiceError, match="a second or more"):
        tiny.as_voice()


@pytest.mark.parametrize("format", ["wav", "flac", "mp3", "ogg"])
def test_saved_clip_carries_its_recipe(clip: Clip, tmp_path: Path, format: str) -> None:
    path = tmp_path / f"a.{format}"
    clip.save(path)
    with soundfile.SoundFile(path) as stream:
        recipe = json.loads(stream.comment)
        assert stream.title == "Hello there."
        assert stream.samplerate == 24_000
    assert (recipe["seed"], recipe["voice"], recipe["text"]) == (7, "en_0", "Hello there.")
    assert recipe["generator"] == f"openbark {openbark.__version__}"
    assert recipe["params"]["semantic"]["temperature"] == 0.7


def test_tags_can_be_left_out_and_streams_work(clip: Clip) -> None:
    with_tags, without = io.BytesIO(), io.BytesIO()
    clip.save(with_tags)
    clip.save(without, metadata=False)
    assert b"Hello there." in with_tags.getvalue()
    assert b"Hello there." not in without.getvalue()
    assert without.getvalue()[:4] == b"RIFF"


def test_notebooks_get_a_player(clip: Clip) -> None:
    assert clip._repr_html_().startswith('<audio controls src="data:audio/wav;base64,UklGR')


def test_partial_params_keep_the_checkpoint_s_defaults(bark: Bark) -> None:
    asked = GenerationParams(
        semantic=SamplingParams(temperature=0.3), max_semantic_tokens=2, allow_early_stop=False
    )
    used = bark.generate("Hi.", seed=0, params=asked).params
    assert used.semantic == SamplingParams(temperature=0.3)
    assert used.fine == bark.default_params.fine


@pytest.mark.parametrize("text", ["", "   ", "\n\t"])
def test_empty_text(bark: Bark, text: str) -> None:
    with pytest.raises(TextError, match="at least one word"):
        bark.generate(text)


def test_text_the_vocabulary_cannot_hold(bark: Bark) -> None:
    with pytest.raises(TextError, match=r"5 \(U\+0035\)"):
        bark.generate("I am 5")


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, True, "7"])
def test_bad_seeds(bark: Bark, seed: object) -> None:
    with pytest.raises(ParamError, match="seed"):
        bark.generate("Hi.", seed=seed)  # type: ignore[arg-type]


def test_bad_voices(bark: Bark) -> None:
    with pytest.raises(VoiceError, match=r"'en_7'; did you mean 'en_[01]'"):
        bark.generate("Hi.", voice="en_7")
    with pytest.raises(VoiceError, match="not int"):
        bark.generate("Hi.", voice=7)  # type: ignore[arg-type]
    with pytest.raises(VoiceError, match="lacks semantic_prompt"):
        bark.generate("Hi.", voice={})
    foreign = Voice(
        semantic=np.full(20, 5000), coarse=np.zeros((2, 30), int), fine=np.zeros((8, 30), int)
    )
    with pytest.raises(VoiceError, match="semantic holds 5000"):
        bark.generate("Hi.", voice=foreign)


def test_cancel(bark: Bark) -> None:
    event = threading.Event()
    event.set()
    with pytest.raises(CancelledError):
        bark.generate("Hi.", cancel=event)


def test_a_tokenizer_of_another_model_is_noticed(
    tiny_backend: TorchBackend, tmp_path: Path
) -> None:
    rules = Rules(WordLevel({"hi": 5000, "[UNK]": 0}, unk_token="[UNK]"))
    rules.save(str(tmp_path / "tokenizer.json"))
    mixed = Bark(tiny_backend, Tokenizer.load(tmp_path / "tokenizer.json"))
    with pytest.raises(CheckpointCorruptError, match="5000"):
        mixed.generate("hi")


def test_missing_and_half_folders(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointNotFoundError, match="no checkpoint folder at"):
        Bark.load(tmp_path / "absent")
    with pytest.raises(CheckpointNotFoundError, match="hub"):
        Bark.load("suno/bark")
    half = tmp_path / "half"
    shutil.copytree(folder, half)
    (half / "model.safetensors").unlink()
    (half / "tokenizer.json").unlink()
    with pytest.raises(CheckpointNotFoundError, match=r"model\.safetensors, tokenizer\.json"):
        Bark.load(half)


@pytest.mark.parametrize("threads", [0, -3])
def test_bad_thread_counts(folder: Path, threads: int) -> None:
    with pytest.raises(ParamError, match="threads"):
        Bark.load(folder, threads=threads)


def test_bad_device_and_dtype(folder: Path) -> None:
    pytest.importorskip("torch")
    with pytest.raises(DeviceError, match="warp"):
        Bark.load(folder, device="warp")
    with pytest.raises(ParamError, match="int3"):
        Bark.load(folder, dtype="int3")


def test_without_torch_the_remedy_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openbark.backends.select.find_spec", lambda name: None)
    monkeypatch.setattr("openbark.backends.select.library_path", lambda: folder / "absent.so")
    with pytest.raises(MissingExtraError, match=r"openbark\[torch\]"):
        Bark.load(folder)


@pytest.mark.skipif(has_embedded(), reason="this tree has an embedded model")
def test_without_an_embedded_model_the_remedy_is_named() -> None:
    with pytest.raises(CheckpointNotFoundError, match="carries no embedded model"):
        find_checkpoint(None)


@pytest.mark.skipif(not has_embedded(), reason="no embedded model in this tree")
def test_the_embedded_model_is_the_default() -> None:
    assert find_checkpoint(None) == find_checkpoint("embedded")
    assert len(VoiceLibrary([find_checkpoint(None) / "voices"])) >= 4


def test_a_normalizer_of_the_config_is_applied(tiny_backend: TorchBackend, bark: Bark) -> None:
    from dataclasses import replace

    english = Bark(tiny_backend, bark.tokenizer)
    assert bark.normalize(" a  5 ") == "a 5"
    config = replace(BarkConfig.tiny(), text_normalizer="en")
    english.backend = _Renamed(config)  # type: ignore[assignment]
    assert english.normalize(" a  5 ") == "a five"


class _Renamed:
    def __init__(self, config: BarkConfig) -> None:
        self.config = config


def test_public_names_are_lazy_and_complete() -> None:
    assert openbark.Bark is Bark
    assert openbark.Clip is Clip
    assert set(openbark.__all__) <= set(dir(openbark))
    for name in openbark.__all__:
        assert getattr(openbark, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = openbark.nothing

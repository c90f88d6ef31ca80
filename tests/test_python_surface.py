"""What Python programs do with our objects: numbers of numpy, pickle, copy, caches, notebooks, wrong keywords."""

from __future__ import annotations

import copy
import html
import io
import json
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import openbark
from openbark import Bark, Clip, GenerationParams, LongFormOptions, SamplingParams, Voice
from openbark.audio import Edits
from openbark.config import BarkConfig
from openbark.errors import (
    AudioError,
    CheckpointNotFoundError,
    OpenBarkError,
    ParamError,
    TextError,
    VoiceError,
)
from openbark.longform.options import Pauses
from openbark.params import MAX_SEED, check_seed
from openbark.scalars import read_flag, read_number, read_whole
from openbark.voices.library import VoiceLibrary


@pytest.fixture(scope="module")
def bark(tiny_checkpoint_dir: Path) -> Bark:
    return Bark.load(tiny_checkpoint_dir, threads=1)


@pytest.fixture(scope="module")
def clip(bark: Bark) -> Clip:
    return bark.generate("Hello there.", seed=7)


@pytest.mark.parametrize(
    "value",
    [7, np.int64(7), np.int8(7), np.uint64(7), np.array(7), np.array([1, 7])[1]],
    ids=lambda value: type(value).__name__,
)
def test_whole_numbers_of_numpy_are_whole_numbers(value: Any) -> None:
    assert read_whole(value) == 7
    assert type(check_seed(value)) is int
    assert type(SamplingParams(top_k=value).top_k) is int
    assert GenerationParams(max_semantic_tokens=value) == GenerationParams(max_semantic_tokens=7)
    assert LongFormOptions(best_of=value, ahead=value, retries=value).n_retries == 7
    assert LongFormOptions(anchor_every=value).anchor_every == 7


@pytest.mark.parametrize(
    "value",
    [0.5, np.float32(0.5), np.float64(0.5), np.float16(0.5), np.array(0.5), Fraction(1, 2), Decimal("0.5")],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_real_numbers_of_numpy_are_numbers(value: Any) -> None:
    assert read_number(value) == 0.5
    sampling = SamplingParams(temperature=value, top_p=value, min_eos_p=value)
    assert sampling == SamplingParams(temperature=0.5, top_p=0.5, min_eos_p=0.5)
    assert all(type(getattr(sampling, name)) is float for name in ("temperature", "top_p"))
    assert GenerationParams(max_semantic_seconds=value).max_semantic_seconds == 0.5
    assert Edits(speed=value, loudness=-40 * value) == Edits(speed=0.5, loudness=-20.0)
    assert LongFormOptions(pace=value, pauses=Pauses(sentence=value)).pauses.sentence == 0.5


@pytest.mark.parametrize(
    "value",
    [True, False, np.bool_(True), np.array(True), "7", b"7", "0.5", 1j, np.complex64(1), None, [7],
     np.array([7]), np.array("7"), pytest.param(object(), id="object")],
    ids=repr,
)  # fmt: skip
def test_what_is_no_number_is_refused(value: Any) -> None:
    assert read_whole(value) is None
    assert read_number(value) is None
    with pytest.raises(ParamError, match="temperature must be a number"):
        SamplingParams(temperature=value)
    with pytest.raises(ParamError, match="speed"):
        Edits(speed=value)
    with pytest.raises(ParamError, match="ahead"):
        LongFormOptions(ahead=value)
    if value is not None:
        with pytest.raises(ParamError, match="seed"):
            check_seed(value)
        with pytest.raises(ParamError, match="top_k"):
            SamplingParams(top_k=value)


@pytest.mark.parametrize("value", [0.5, np.float64(7.0), np.array(7.0)])
def test_a_fraction_is_no_whole_number(value: Any) -> None:
    assert read_whole(value) is None


def test_torch_numbers_are_numbers() -> None:
    torch = pytest.importorskip("torch")
    assert read_whole(torch.tensor(7)) == 7
    assert read_number(torch.tensor(0.5)) == 0.5
    assert read_number(torch.tensor(True)) is None
    assert read_whole(torch.tensor([7])) is None


def test_numbers_beyond_every_float_are_not_finite() -> None:
    assert read_number(10**400) == float("inf")
    assert read_number(-(10**400)) == float("-inf")
    with pytest.raises(ParamError, match="finite"):
        SamplingParams(temperature=10**400)
    with pytest.raises(ParamError, match=f"allowed: 0..{MAX_SEED}"):
        check_seed(np.int64(-1))


def test_truth_values() -> None:
    assert read_flag(np.bool_(False)) is False
    assert read_flag(1) is None
    assert GenerationParams(allow_early_stop=np.bool_(False)).allow_early_stop is False  # type: ignore[arg-type]
    assert Edits(trim=np.bool_(True)).trim is True  # type: ignore[arg-type]
    with pytest.raises(ParamError, match="allow_early_stop"):
        GenerationParams(allow_early_stop=1)  # type: ignore[arg-type]


def test_numpy_numbers_make_the_same_clip_and_the_same_file(bark: Bark, clip: Clip) -> None:
    same = bark.generate("Hello there.", seed=np.int64(7))  # type: ignore[call-overload]
    assert np.array_equal(same.waveform, clip.waveform)
    assert same.to_bytes("flac") == clip.to_bytes("flac")
    odd = bark.generate(
        "Hello there.",
        seed=np.uint32(7),  # type: ignore[call-overload]
        params=GenerationParams(semantic=SamplingParams(temperature=np.float32(0.5), top_k=np.int64(5))),  # type: ignore[arg-type]
    )  # fmt: skip
    assert json.loads(odd.to_json())["params"]["semantic"]["top_k"] == 5
    assert Bark.load(None, threads=np.int64(1)).sample_rate == 24_000  # type: ignore[arg-type]


def test_a_duration_beyond_every_number_is_the_models_own_limit(bark: Bark, clip: Clip) -> None:
    long = bark.generate(
        "Hello there.", seed=7, params=GenerationParams(max_semantic_seconds=1e308)
    )
    assert np.array_equal(long.waveform, clip.waveform)


def test_seeds_of_a_list_of_texts_may_be_an_array(bark: Bark, clip: Clip) -> None:
    for seeds in (np.array([7, 8]), range(7, 9), (np.int64(7), 8)):
        made = bark.generate(["Hello there.", "Hi."], seed=seeds)  # type: ignore[call-overload]
        assert [each.seed for each in made] == [7, 8]
        assert same_waveform(made[0], clip)


def same_clip(one: Clip, other: Clip) -> bool:
    return one.to_bytes("f32") == other.to_bytes("f32") and one.to_json() == other.to_json()


COPIES = {
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "old pickle": lambda value: pickle.loads(pickle.dumps(value, protocol=2)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("how", COPIES)
def test_clips_can_be_copied_and_pickled(bark: Bark, clip: Clip, how: str) -> None:
    long = bark.generate("One. Two.", seed=3, options=LongFormOptions())
    for made in (clip, clip.edited(speed=1.5), long, bark.generate(["Hi."], seed=1)[0]):
        found = COPIES[how](made)
        assert same_clip(found, made)
        assert np.array_equal(found.tokens.fine, made.tokens.fine)
        assert found.segments == made.segments


@pytest.mark.parametrize("how", COPIES)
def test_voices_libraries_and_settings_can_be_copied_and_pickled(
    clip: Clip, bark: Bark, tmp_path: Path, how: str
) -> None:
    voice = clip.as_voice("mine", {"language": "en"})
    copied = COPIES[how](voice)
    assert (copied.digest, copied.name, dict(copied.metadata)) == (
        voice.digest,
        "mine",
        dict(voice.metadata),
    )
    voice.save(tmp_path / "mine.npz")
    library = COPIES[how](VoiceLibrary([tmp_path]))
    assert library.names == ("mine",)
    assert library.get("mine").digest == voice.digest
    request = bark.request("Hello.", voice, 3)
    for value in (clip.params, clip.config, Edits(trim=True), LongFormOptions(), clip.origin):
        assert COPIES[how](value) == value
    assert np.array_equal(COPIES[how](request).text_tokens, request.text_tokens)
    assert COPIES[how](clip.tokens).fine.shape == clip.tokens.fine.shape


def test_equal_clips_pickle_to_equal_bytes_so_that_caches_find_them(bark: Bark) -> None:
    params = GenerationParams(semantic=SamplingParams(temperature=0.4))
    again = GenerationParams(semantic=SamplingParams(temperature=0.4))
    assert pickle.dumps(params) == pickle.dumps(again)
    assert hash(params) == hash(again)


@pytest.mark.parametrize("how", ["pickle", "deepcopy"])
def test_a_loaded_model_can_be_pickled(bark: Bark, clip: Clip, how: str) -> None:
    again = COPIES[how](bark)
    assert same_waveform(again.generate("Hello there.", seed=7), clip)
    parts = Bark(bark.backend, bark.tokenizer)
    with pytest.raises(ParamError, match=r"Bark\.load"):
        pickle.dumps(parts)


def same_waveform(one: Clip, other: Clip) -> bool:
    return np.array_equal(one.waveform, other.waveform)


def test_processes_return_clips(bark: Bark, clip: Clip) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        made = pool.submit(bark.generate, "Hello there.", None, 7).result()
    assert same_waveform(made, clip)


def test_errors_cross_processes() -> None:
    for error in (ParamError("no"), openbark.BusyError("full", 3.0), VoiceError("who")):
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again)) == (type(error), str(error))


def test_reprs_are_short_and_say_what_it_is(bark: Bark, clip: Clip) -> None:
    voice = clip.as_voice("mine")
    shown = {
        "tiny": (bark, bark.config, bark.engine, bark.backend),
        "mine": (voice,),
        "semantic [": (clip.tokens,),
        "seed 7": (clip,),
        "0 voices": (VoiceLibrary(),),
    }
    for part, values in shown.items():
        for value in values:
            text = repr(value)
            assert part in text
            assert len(text) < 200, text
            assert " object at 0x" not in text
    long = Clip(**{**vars(clip), "text": "word " * 400})
    assert len(repr(long)) < 200


def test_a_clip_is_an_array_of_its_samples(clip: Clip) -> None:
    assert len(clip) == len(clip.waveform)
    assert clip.duration == clip.seconds == len(clip) / clip.sample_rate
    assert np.asarray(clip).dtype == np.float32
    assert np.array_equal(np.asarray(clip), clip.waveform)
    assert np.asarray(clip, dtype=np.float64).dtype == np.float64
    fresh = np.array(clip)
    fresh[:] = 0
    assert clip.waveform.any()
    assert float(np.max(np.abs(clip))) == float(np.abs(clip.waveform).max())
    assert clip


def test_notebooks_see_the_text_the_voice_and_the_seed(clip: Clip) -> None:
    odd = Clip(**{**vars(clip), "text": "<script>alert('&')</script>", "voice": '"><b>'})
    shown = odd._repr_html_()
    assert "<script>" not in shown
    assert "<b>" not in shown
    assert html.escape(odd.text) in shown
    assert "seed 7" in shown
    assert html.escape('"><b>') in shown


@pytest.mark.parametrize("given", [(), ("suno/bark-small",), (Path("somewhere"),)])
def test_bark_without_its_parts_names_load(given: tuple[Any, ...]) -> None:
    with pytest.raises(ParamError, match=r"openbark\.Bark\.load\("):
        Bark(*given)


@pytest.mark.parametrize(
    ("keyword", "value", "offer"),
    [
        ("temperature", 0.4, "params=GenerationParams(semantic=SamplingParams(temperature=0.4))"),
        ("top_k", 50, "SamplingParams(top_k=50)"),
        ("coarse_temperature", 1, "params=GenerationParams(coarse=SamplingParams(temperature=1))"),
        ("text_temp", 0.5, "semantic=SamplingParams(temperature=0.5)"),
        ("waveform_temp", 0.5, "coarse=SamplingParams(temperature=0.5)"),
        ("history_prompt", "en_0", "voice='en_0'"),
        ("max_semantic_tokens", 9, "params=GenerationParams(max_semantic_tokens=9)"),
        ("sead", 1, "use seed"),
        ("speed", 2, "edited(speed=2)"),
        ("zzz", 2, "seed, params, "),
    ],
)
def test_an_unknown_keyword_is_answered_with_the_one_that_was_meant(
    bark: Bark, keyword: str, value: Any, offer: str
) -> None:
    for method in (bark.generate, bark.stream, bark.generate_script):
        with pytest.raises(ParamError, match="has no argument") as caught:
            method("Hi.", **{keyword: value})
        assert offer in str(caught.value)


def test_an_unknown_keyword_of_load() -> None:
    with pytest.raises(ParamError, match="load has no argument 'n_threads'; use threads"):
        Bark.load(n_threads=2)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"params": {"temperature": 1}}, "params must be GenerationParams or None, is dict"),
        ({"params": SamplingParams()}, "GenerationParams(semantic=...)"),
        ({"params": 0.4}, "is float"),
        ({"options": {"split": "packed"}}, "options must be LongFormOptions or None, is dict"),
        ({"progress": 5}, "progress is 5; allowed: True for a bar"),
        ({"cancel": 5}, "cancel is 5"),
        ({"seed": "7"}, "seed must be a whole number"),
        ({"voice": 5}, "a voice is a name"),
    ],
)
def test_arguments_of_the_wrong_kind_are_typed_errors(
    bark: Bark, given: dict[str, Any], part: str
) -> None:
    for text in ("Hi.", ["Hi.", "Hello."]):
        with pytest.raises(OpenBarkError) as caught:
            bark.generate(text, **given)
        assert part in str(caught.value)


@pytest.mark.parametrize("text", [None, 5, b"Hi.", Path("a.txt"), {"a": 1}])
def test_a_text_that_is_none(bark: Bark, text: Any) -> None:
    with pytest.raises(TextError, match="a text is a string"):
        bark.generate(text)


def test_arguments_of_load_of_the_wrong_kind() -> None:
    for given in ({"threads": "2"}, {"threads": True}, {"device": 0}, {"dtype": np.float32}):
        with pytest.raises(ParamError, match="allowed"):
            Bark.load(**given)  # type: ignore[arg-type]
    for path in (5, "x" * 5000, "a\0b", "~nobody-of-this-name/model"):
        with pytest.raises(CheckpointNotFoundError):
            Bark.load(path)  # type: ignore[arg-type]


def test_targets_of_the_wrong_kind(clip: Clip) -> None:
    with pytest.raises(AudioError, match="a path or a binary stream, not to NoneType"):
        clip.save(None)  # type: ignore[arg-type]
    with pytest.raises(AudioError, match="unknown audio format 5"):
        clip.save(io.BytesIO(), format=5)  # type: ignore[arg-type]


def test_a_home_folder_is_found(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_checkpoint_dir: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    clip.save("~/clip.wav", sidecar=True)
    clip.as_voice().save(Path("~/mine.NPZ"))
    assert {path.name for path in tmp_path.iterdir()} == {
        "clip.wav",
        "clip.wav.json",
        "mine.NPZ",
    }
    assert Voice.load("~/mine.NPZ").name == "mine"
    assert VoiceLibrary().get("~/mine.NPZ").name == "mine"
    assert VoiceLibrary([tmp_path]).names == ("mine",)
    (tmp_path / "model").symlink_to(tiny_checkpoint_dir)
    assert Bark.load("~/model", threads=1).config == BarkConfig.tiny()


def test_a_format_and_a_suffix_that_disagree_are_refused(clip: Clip, tmp_path: Path) -> None:
    for name, format in (("x.flac", "wav"), ("x.wav", "mp3"), ("x.mp3", "pcm"), ("x.ogg", "f32")):
        with pytest.raises(AudioError, match="change one of them"):
            clip.save(tmp_path / name, format)
    for name, format in (("x.wav", "f32"), ("x.opus", "ogg"), ("x.bin", "flac"), ("x.WAV", "WAV")):
        clip.save(tmp_path / name, format)
    assert {path.name for path in tmp_path.iterdir()} == {"x.wav", "x.opus", "x.bin", "x.WAV"}


def test_progress_true_is_silent_without_a_terminal(
    bark: Bark, capfd: pytest.CaptureFixture[str]
) -> None:
    bark.generate("Hi.", seed=1, progress=True)
    bark.generate("Hi.", seed=1, progress=False)
    bark.generate(["Hi.", "Ho."], seed=1, progress=True)
    assert capfd.readouterr() == ("", "")

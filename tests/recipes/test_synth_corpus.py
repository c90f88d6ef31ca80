"""Speech and whole corpora; most tests need the flite program and skip without it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from openbark.errors import TrainingError
from openbark.training.data import read_shards, shard_path
from recipes.embedded.synth import speak
from recipes.embedded.synth.corpus import CorpusOptions, build_corpus, plan_corpus
from recipes.embedded.synth.labels import PHONES, SEMANTIC_VOCAB_SIZE, phone_ids, phones_of
from recipes.embedded.synth.parallel import Workers
from recipes.embedded.synth.sentences import load_spelling_words, words_of
from recipes.embedded.synth.speak import resample_for_corpus, speak_espeak, speak_flite
from recipes.embedded.synth.utterances import loudness

needs_flite = pytest.mark.skipif(
    shutil.which("flite") is None, reason="the program flite is not installed"
)
needs_espeak = pytest.mark.skipif(
    shutil.which("espeak-ng") is None, reason="the program espeak-ng is not installed"
)
TINY = CorpusOptions(
    n_train=16, n_valid=1, n_test=1, n_prompts=1, voices=("kal16",), n_codec_only=0, seed=5,
    per_shard=8, workers=1,
)  # fmt: skip


@needs_flite
def test_flite_speaks_with_phones_and_fixed_silence() -> None:
    speech = speak_flite("Hello there, my friend.", "kal16")
    assert speech.waveform.dtype == np.float32
    assert speech.phones[:3] == ("pau", "hh", "ax") and speech.phones[-1] == "pau"
    assert set(speech.phones) <= set(PHONES)
    assert list(speech.end_times) == sorted(speech.end_times)
    assert speech.end_times[0] == pytest.approx(0.10)
    assert speech.end_times[-1] - speech.end_times[-2] == pytest.approx(0.16)
    assert len(speech.waveform) == round(speech.end_times[-1] * 24_000)
    assert np.abs(speech.waveform[:1200]).max() < 0.02 < np.abs(speech.waveform).max()


@needs_flite
def test_flite_says_the_same_twice() -> None:
    one, other = (speak_flite("Good morning.", "slt") for _ in range(2))
    np.testing.assert_array_equal(one.waveform, other.waveform)
    assert one.end_times == other.end_times


@needs_flite
def test_flite_with_nothing_to_say_is_an_error() -> None:
    with pytest.raises(TrainingError, match="nothing to say"):
        speak_flite("...", "kal16")


def test_an_unknown_voice_is_refused() -> None:
    with pytest.raises(TrainingError, match="slt, rms, awb, kal16"):
        speak_flite("Hi.", "nobody")


@pytest.mark.parametrize(
    ("call", "package"),
    [
        (lambda: speak_flite("Hi.", "slt"), "apt install flite"),
        (lambda: speak_espeak("Hi.", "en-us"), "apt install espeak-ng"),
    ],
)
def test_a_missing_program_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
    call,  # type: ignore[no-untyped-def]
    package: str,
) -> None:
    monkeypatch.setattr(speak.shutil, "which", lambda name: None)
    with pytest.raises(TrainingError, match=package):
        call()


@needs_espeak
def test_espeak_speaks_without_phones() -> None:
    speech = speak_espeak("Hello.", "en-us")
    assert speech.phones == () and speech.end_times == ()
    assert 0.3 < len(speech.waveform) / 24_000 < 2
    assert loudness(speech.waveform) > 0.01


@pytest.mark.parametrize("source_rate", [16_000, 22_050, 48_000, 24_000])
def test_resampling_keeps_a_tone(source_rate: int) -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(source_rate) / source_rate).astype(np.float32)
    found = resample_for_corpus(tone, source_rate)
    assert len(found) == 24_000
    expected = np.sin(2 * np.pi * 1000 * np.arange(24_000) / 24_000)
    np.testing.assert_allclose(found[500:-500], expected[500:-500], atol=1e-3)


def test_resampling_leaves_no_images() -> None:
    tone = np.sin(2 * np.pi * 7000 * np.arange(16_000) / 16_000).astype(np.float32)
    spectrum = np.abs(
        np.fft.rfft(resample_for_corpus(tone, 16_000)[1000:23_000] * np.hanning(22_000))
    )
    images = spectrum[22_000 * 8_500 // 24_000 :]
    assert images.max() < 1e-3 * spectrum.max()


@pytest.mark.parametrize("n_samples", [0, 1, 2, 5])
def test_resampling_very_short_input(n_samples: int) -> None:
    found = resample_for_corpus(np.ones(n_samples, np.float32), 16_000)
    assert len(found) == -(-n_samples * 3 // 2)


def test_the_plan_follows_from_the_options() -> None:
    options = CorpusOptions.preset("smoke")
    plan = plan_corpus(options)
    assert plan == plan_corpus(options)
    assert plan != plan_corpus(replace(options, seed=1))
    assert len(plan["train"]) == 40
    assert {line.speaker for line in plan["train"]} == set(options.voices)
    for split in ("valid", "test"):
        by_text: dict[str, set[str]] = {}
        for line in plan[split]:
            by_text.setdefault(line.text, set()).add(line.speaker)
        assert all(speakers == set(options.voices) for speakers in by_text.values())
    assert all(not line.is_labelled for line in plan["codec_only"])
    keys = [line.key for lines in plan.values() for line in lines]
    assert len(set(keys)) == len(keys)


def test_impossible_options_are_refused() -> None:
    with pytest.raises(TrainingError, match="no corpus preset 'huge'"):
        CorpusOptions.preset("huge")  # type: ignore[arg-type]
    with pytest.raises(TrainingError, match="voices \\['nobody'\\]"):
        plan_corpus(replace(TINY, voices=("nobody",)))
    with pytest.raises(TrainingError, match="codec-only"):
        plan_corpus(replace(TINY, n_codec_only=1_000))


@needs_flite
def test_a_corpus_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = build_corpus(TINY, tmp_path)
    captured = capsys.readouterr()
    assert captured.out == "" and "utterances" in captured.err
    assert ("no word list" in captured.err) == (not load_spelling_words())
    assert json.loads((tmp_path / "corpus.json").read_text()) == report
    train = read_shards(tmp_path / "train")
    assert [u.key for u in train] == [f"train-{i:05d}" for i in range(16)]
    assert not (tmp_path / "codec_only").exists()
    seen = {word for u in train for word in words_of(u.text)}
    for split in ("train", "valid", "test"):
        for utterance in read_shards(tmp_path / split):
            waveform, semantic, guide = utterance.waveform, utterance.semantic, utterance.guide
            assert waveform is not None and semantic is not None and guide is not None
            assert len(waveform) == 480 * len(semantic) == 480 * len(guide)
            assert np.abs(waveform.astype(np.int32)).max() < 32_000
            assert semantic.min() >= 0 and semantic.max() < SEMANTIC_VOCAB_SIZE
            assert guide.min() >= -1 and guide.max() < len(utterance.text)
            assert seen.issuperset(words_of(utterance.text))
    spoken = speak_flite(plan_corpus(TINY)["train"][0].spoken, "kal16").phones
    assert train[0].semantic is not None
    assert phones_of(train[0].semantic).tolist() == phone_ids(spoken).tolist()


@needs_flite
def test_an_interrupted_build_goes_on_and_gives_the_same(tmp_path: Path) -> None:
    build_corpus(TINY, tmp_path)
    kept, lost = shard_path(tmp_path / "train", 0), shard_path(tmp_path / "train", 1)
    before = {path.name: path.read_bytes() for path in (tmp_path / "train").iterdir()}
    kept_time = kept.stat().st_mtime_ns
    lost.unlink()
    (tmp_path / "corpus.json").unlink()
    build_corpus(TINY, tmp_path)
    assert kept.stat().st_mtime_ns == kept_time
    assert {path.name: path.read_bytes() for path in (tmp_path / "train").iterdir()} == before


def test_a_directory_of_another_plan_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text('{"plan": "other"}')
    with pytest.raises(TrainingError, match="other options"):
        build_corpus(TINY, tmp_path)


def test_worker_processes_give_what_one_process_gives() -> None:
    with Workers(1) as alone, Workers(2) as pool:
        assert list(pool.map(abs, [-1, 2, -3])) == list(alone.map(abs, [-1, 2, -3])) == [1, 2, 3]
        assert sorted(pool.as_done(abs, [-1, 2, -3])) == sorted(alone.as_done(abs, [-1, 2, -3]))

"""The recipe on a labelled corpus, in miniature: shards as a teacher writes them, to a checkpoint that speaks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

import openbark
from openbark.checkpoints.layouts.shapes import expected_shapes
from openbark.errors import TrainingError
from openbark.training.data import read_shards
from recipes.embedded.recipe import recipe
from recipes.embedded.run import EmbeddedRun
from recipes.embedded.synth.labelled import read_labelled
from recipes.embedded.synth.labelled_corpus import LabelledCorpusOptions, build_labelled_corpus
from recipes.embedded.synth.pitch import fundamental_frequency

RATE, FRAME = 24_000, 600
SPOKEN = {
    "Anna met a man.": "ˈænə mˈɛt ə mˈæn.",
    "Ten men sat.": "tˈɛn mˈɛn sˈæt.",
    "Sam sat in a tent.": "sˈæm sˈæt ɪn ə tˈɛnt.",
    "A mat is in a tin.": "ə mˈæt ɪz ɪn ə tˈɪn.",
    "Nan is mad.": "nˈæn ɪz mˈæd.",
    "Tim is in it.": "tˈɪm ɪz ɪn ɪt.",
}


def _shard(folder: Path, lines: list[tuple[str, str, str]], *, with_audio: bool) -> None:
    """A shard of (text, phonemes, speaker): a tone at the speaker's pitch, 4 frames a phoneme."""
    rows, durations, pitches, waveforms, start = [], [], [], [], 0
    for number, (text, phonemes, speaker) in enumerate(lines):
        frames = np.full(len(phonemes) + 2, 4, np.uint8)
        hz = 110.0 if speaker.startswith("am") else 190.0
        n_samples = int(frames.sum()) * FRAME
        f0 = np.full(2 * int(frames.sum()), hz + number, np.float16)
        times = np.arange(n_samples) / RATE
        tone = sum(np.sin(2 * np.pi * hz * k * times) / k for k in range(1, 20))
        rows.append(
            {
                "text": text, "speaker": speaker, "mix": {speaker: 1.0}, "phonemes": phonemes,
                "start": start, "samples": n_samples if with_audio else 0,
                "n_durations": len(frames), "n_f0": len(f0),
            }
        )  # fmt: skip
        start += n_samples
        durations.append(frames)
        pitches.append(f0)
        waveforms.append(0.1 * tone)
    folder.mkdir(parents=True)
    arrays = {"durations": np.concatenate(durations), "f0": np.concatenate(pitches)}
    np.savez_compressed(folder / "0000.npz", **arrays)
    if with_audio:
        soundfile.write(
            folder / "0000.opus", np.concatenate(waveforms), RATE, format="OGG", subtype="OPUS"
        )
    (folder / "0000.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> LabelledCorpusOptions:
    root = tmp_path_factory.mktemp("labelled")
    lines = [(t, p, s) for t, p in SPOKEN.items() for s in ("af_heart", "am_michael")]
    _shard(root / "spoken", lines, with_audio=True)
    _shard(root / "texts", lines, with_audio=False)
    (root / "people").mkdir()
    noise = 0.1 * np.random.default_rng(0).standard_normal(3 * 16_000)
    soundfile.write(root / "people" / "17-0001.flac", noise, 16_000)
    (root / "held_out.txt").write_text("Tim is in it!\n")
    return LabelledCorpusOptions(
        spoken=root / "spoken",
        texts=root / "texts",
        recordings=root / "people",
        held_out=root / "held_out.txt",
        valid_every=5,
        stretch_seconds=1.5,
    )


def test_lines_are_read_as_they_were_written(corpus: LabelledCorpusOptions) -> None:
    lines = list(read_labelled(corpus.spoken))
    assert [line.text for line in lines] == [t for t in SPOKEN for _ in range(2)]
    for line in lines:
        assert line.waveform is not None
        assert len(line.waveform) == int(line.durations.sum()) * FRAME
    with pytest.raises(TrainingError, match="no shards"):
        next(read_labelled(corpus.spoken / "nowhere"))


def test_splits(corpus: LabelledCorpusOptions, tmp_path: Path) -> None:
    build_labelled_corpus(corpus, tmp_path)
    train, valid = read_shards(tmp_path / "train"), read_shards(tmp_path / "valid")
    assert {u.text for u in train}.isdisjoint({u.text for u in valid})
    assert "Tim is in it." not in {u.text for u in (*train, *valid)}
    for utterance in (*train, *valid):
        assert utterance.semantic is not None and utterance.waveform is not None
        assert utterance.pitch is not None and utterance.guide is not None
        assert len(utterance.semantic) == len(utterance.guide) == len(utterance.pitch)
        assert len(utterance.waveform) == 480 * len(utterance.semantic)
    assert all(u.waveform is None for u in read_shards(tmp_path / "texts"))
    speech = read_shards(tmp_path / "speech")
    assert [u.speaker for u in speech] == ["recorded-17"] * 2
    assert {u.key for u in speech} == {"17-0001-00", "17-0001-01"}


def test_recordings_at_other_rates_have_their_pitch_moved(
    corpus: LabelledCorpusOptions, tmp_path: Path
) -> None:
    times = np.arange(2 * 16_000) / 16_000
    tone = sum(np.sin(2 * np.pi * 120.0 * k * times) / k for k in range(1, 12))
    (tmp_path / "people").mkdir()
    soundfile.write(tmp_path / "people" / "31-0001.flac", 0.1 * tone, 16_000)
    options = replace(corpus, recordings=tmp_path / "people", rates=(0.8, 1.25))
    build_labelled_corpus(options, tmp_path / "made")
    found = {u.speaker: u for u in read_shards(tmp_path / "made" / "codec_only")}
    assert set(found) == {"recorded-31x0.8", "recorded-31x1.25"}
    for rate, seconds in ((0.8, 1.5 / 0.8), (1.25, 1.5 / 1.25)):
        copy = found[f"recorded-31x{rate:g}"]
        assert copy.waveform is not None and copy.pitch is not None
        assert len(copy.waveform) == 480 * len(copy.pitch)
        assert abs(len(copy.waveform) - seconds * RATE) < 480
        # What the copy's labels say is what a pitch tracker hears in it.
        heard = fundamental_frequency(copy.waveform.astype(np.float32) / 32768, RATE)
        middle = slice(10, len(heard) - 10)
        np.testing.assert_allclose(heard[middle], 120.0 * rate, rtol=0.02)
        np.testing.assert_allclose(copy.pitch[middle] / 10, 120.0 * rate, rtol=0.02)
    with pytest.raises(TrainingError, match=r"allowed: 0\.5 to 2\.0"):
        replace(corpus, rates=(3.0,))


def test_a_changed_corpus_does_not_replace_what_is_there(
    corpus: LabelledCorpusOptions, tmp_path: Path
) -> None:
    build_labelled_corpus(corpus, tmp_path)
    before = (tmp_path / "train" / "shard-00000.jsonl").stat().st_mtime_ns
    build_labelled_corpus(corpus, tmp_path)
    assert (tmp_path / "train" / "shard-00000.jsonl").stat().st_mtime_ns == before


def test_the_whole_recipe_makes_a_checkpoint_that_speaks(
    corpus: LabelledCorpusOptions, tmp_path: Path
) -> None:
    made = recipe("voice-smoke", threads=1, corpus=corpus)
    EmbeddedRun(made, tmp_path / "run", lambda message: None).run(tmp_path / "model")
    bark = openbark.Bark.load(tmp_path / "model", threads=1)
    assert set(bark.voices) == {"heart", "michael"}
    params = openbark.GenerationParams.greedy(max_semantic_tokens=30)
    clip = bark.generate("Sam sat.", voice="heart", params=params)
    assert np.isfinite(clip.waveform).all()
    assert len(clip.waveform) > 0


def test_labelled_presets_ask_for_a_corpus(corpus: LabelledCorpusOptions) -> None:
    with pytest.raises(TrainingError, match="labelled corpus"):
        recipe("voice")
    with pytest.raises(TrainingError, match="labelled corpus"):
        recipe("cpu", corpus=corpus)


def test_the_voice_fits_forty_five_megabytes(corpus: LabelledCorpusOptions) -> None:
    shapes = expected_shapes(recipe("voice", corpus=corpus).config)
    assert 2 * sum(int(np.prod(shape)) for shape in shapes.values()) < 45e6

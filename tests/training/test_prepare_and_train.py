"""Somebody's recordings to a new checkpoint: `train prepare`, then each `train` command, as a user runs them."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import openbark
from openbark.assets import embedded_directory, has_embedded
from openbark.audio import write_audio
from openbark.checkpoints.checkpoint import open_checkpoint
from openbark.cli.train import train
from openbark.errors import CheckpointUnsupportedError, TrainingError
from openbark.training.data import read_shards
from openbark.training.embedded import STEPS
from openbark.training.prepare import find_recordings, prepare
from openbark.training.stage_run import NETWORKS as TRAINABLE

pytestmark = pytest.mark.skipif(not has_embedded(), reason="no embedded model in this checkout")

TEXTS = {
    "ann": ("Good morning.", "The cat is asleep.", "Where is my hat?", "It is 7 o'clock."),
    "bob": ("Good night.", "We bought two apples.", "Stop it!", "See you on Monday."),
}
NETWORKS = {
    "semantic": "semantic.",
    "coarse": "coarse_acoustics.",
    "fine": "fine_acoustics.",
    "codec": "codec_model.",
    "semantic-tokenizer": "semantic_encoder.",
}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight clips of two speakers at 16 kHz, spoken by the embedded model itself."""
    folder = tmp_path_factory.mktemp("recordings")
    bark = openbark.Bark.load()
    for voice, (speaker, texts) in zip(("en_0", "en_1"), TEXTS.items(), strict=True):
        (folder / speaker).mkdir()
        for index, text in enumerate(texts):
            clip = bark.generate(text, voice=voice, seed=index)
            path = folder / speaker / f"{speaker}-{index}.wav"
            write_audio(path, clip.waveform, clip.sample_rate)
            path.with_suffix(".txt").write_text(text + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def data(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("prepared") / "data"
    result = _run("prepare", str(recordings), "-o", str(output), "--valid-share", "0.3")
    assert result.exit_code == 0, result.output
    return output


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(train, arguments, catch_exceptions=True)


def test_prepared_shards_hold_what_was_recorded(data: Path) -> None:
    config = openbark.Bark.load().config
    found = {u.key: u for split in ("train", "valid") for u in read_shards(data / split)}
    assert len(found) == 8
    assert {u.speaker for u in found.values()} == set(TEXTS)
    assert found["ann-3"].text == "It is seven o'clock."
    for utterance in found.values():
        assert utterance.semantic is not None and utterance.codes is not None
        assert utterance.codes.shape[0] == config.fine_rules.n_codebooks
        assert abs(len(utterance.semantic) - utterance.codes.shape[1]) <= 1
        assert utterance.semantic.max() < config.semantic_rules.semantic_vocab_size


@pytest.mark.parametrize("name", NETWORKS)
def test_N3_each_network_trains_and_only_it_changes(name: str, data: Path, tmp_path: Path) -> None:
    output = tmp_path / "model"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = _run(
            name, "--data", str(data), "--run", str(tmp_path / "run"), "-o", str(output),
            "--steps", "2", "--threads", "1", "--validate-every", "2",
        )  # fmt: skip
    assert result.exit_code == 0, result.output + repr(result.exception)
    before, after = open_checkpoint(embedded_directory()), open_checkpoint(output)
    for other, prefix in NETWORKS.items():
        ours, theirs = after.tensors(prefix), before.tensors(prefix)
        assert ours.keys() == theirs.keys()
        same = all(np.array_equal(ours[key], theirs[key]) for key in ours)
        assert same == (other != name), other


def test_trained_checkpoint_speaks(data: Path, tmp_path: Path) -> None:
    output = tmp_path / "model"
    result = _run(
        "semantic", "--data", str(data), "--run", str(tmp_path / "run"), "-o", str(output),
        "--steps", "1", "--lr", "1e-6", "--threads", "1",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    clip = openbark.Bark.load(output).generate("Hello there.", seed=3)
    assert clip.stop_reason == "eos"


def test_what_cannot_be_used_is_named(recordings: Path, tmp_path: Path) -> None:
    lines = [
        {"audio": str(recordings / "ann/ann-0.wav"), "text": "Good morning.", "speaker": "ann"},
        {"audio": str(recordings / "ann/ann-1.wav"), "text": "x" * 200},
        {"audio": str(tmp_path / "silent.wav"), "text": "Nothing."},
        {"audio": str(tmp_path / "gone.wav"), "text": "Gone."},
        {"audio": str(recordings / "bob/bob-0.wav"), "text": "\N{GRINNING FACE}"},
    ]
    write_audio(tmp_path / "silent.wav", np.zeros(24_000, dtype=np.float32), 24_000)
    source = tmp_path / "data.jsonl"
    source.write_text("\n".join(json.dumps(line) for line in lines) + "\n", encoding="utf-8")
    report = prepare(
        find_recordings(source), open_checkpoint(embedded_directory()), tmp_path / "out"
    )
    assert report.n_train + report.n_valid == 1
    reasons = {Path(path).name: reason for path, reason in report.refused.items()}
    assert reasons.keys() == {"ann-1.wav", "silent.wav", "gone.wav", "bob-0.wav"}
    assert "200 tokens" in reasons["ann-1.wav"]
    assert "silent" in reasons["silent.wav"]
    assert json.loads((tmp_path / "out" / "prepare.json").read_text())["refused"] == report.refused


def test_sources_that_are_no_data_set_are_refused(
    tmp_path: Path, tiny_checkpoint_dir: Path
) -> None:
    with pytest.raises(TrainingError, match="neither a folder nor a file"):
        find_recordings(tmp_path / "nothing")
    with pytest.raises(TrainingError, match="no recordings"):
        find_recordings(tmp_path)
    write_audio(tmp_path / "a.wav", np.zeros(100, dtype=np.float32), 24_000)
    with pytest.raises(TrainingError, match=r"a\.txt"):
        find_recordings(tmp_path)
    (tmp_path / "a.txt").write_text("A.")
    (tmp_path / "bad.jsonl").write_text('{"audio": "a.wav"}\n')
    with pytest.raises(TrainingError, match="line 1"):
        find_recordings(tmp_path / "bad.jsonl")
    with pytest.raises(CheckpointUnsupportedError, match="semantic encoder"):
        prepare(find_recordings(tmp_path), open_checkpoint(tiny_checkpoint_dir), tmp_path / "out")


def test_the_command_line_offers_every_network_and_step() -> None:
    # Typed again in the command line, which must not import torch to print its help.
    assert set(NETWORKS) == set(TRAINABLE)
    assert set(TRAINABLE) < set(train.commands)
    only = next(option for option in train.commands["embedded"].params if option.name == "only")
    assert tuple(only.type.choices) == STEPS  # type: ignore[attr-defined]

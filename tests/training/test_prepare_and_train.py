"""Somebody's recordings to a new checkpoint: `train prepare`, then each `train` command, as a user runs them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

import openbark
from openbark.assets import embedded_directory, has_embedded
from openbark.audio import read_audio, write_audio
from openbark.checkpoints.checkpoint import open_checkpoint
from openbark.cli.train import train
from openbark.errors import CheckpointUnsupportedError, TrainingError
from openbark.text.tokenizer import Tokenizer
from openbark.training import stage_run
from openbark.training.data import read_shards
from openbark.training.loop import FitOptions, FitResult
from openbark.training.networks import semantic_from
from openbark.training.prepare import find_recordings, prepare
from openbark.training.semantic import SemanticOptions, SemanticTask
from openbark.training.stage_run import NETWORKS as TRAINABLE
from openbark.training.stage_run import WEIGHTS, train_network

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
    assert found["ann/ann-3"].text == "It is seven o'clock."
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


def test_files_of_one_name_in_two_folders_keep_their_texts(
    recordings: Path, tmp_path: Path
) -> None:
    source = tmp_path / "recordings"
    for speaker in TEXTS:
        (source / speaker).mkdir(parents=True)
        for index in range(4):
            for suffix in (".wav", ".txt"):
                old = recordings / speaker / f"{speaker}-{index}{suffix}"
                shutil.copy(old, source / speaker / f"{index:04d}{suffix}")
    shutil.copy(recordings / "ann" / "ann-0.wav", tmp_path / "copy.wav")
    write_audio(source / "ann" / "0000.flac", *read_audio(tmp_path / "copy.wav"))
    report = prepare(
        find_recordings(source), open_checkpoint(embedded_directory()), tmp_path / "data", 0.3
    )
    found = {u.key: u for part in ("train", "valid") for u in read_shards(tmp_path / "data" / part)}
    texts = {f"{who}/{n:04d}": said for who in TEXTS for n, said in enumerate(TEXTS[who])}
    assert found.keys() == texts.keys()
    assert found["bob/0000"].text == "Good night." and found["ann/0000"].text == "Good morning."
    assert report.n_train + report.n_valid == 8
    (path, reason), *others = report.refused.items()
    assert not others and Path(path).parent.name == "ann" and "same name" in reason
    assert json.loads((tmp_path / "data" / "prepare.json").read_text())["refused"] == report.refused


def test_a_line_that_comes_twice_is_refused(recordings: Path, tmp_path: Path) -> None:
    line = json.dumps({"audio": str(recordings / "ann/ann-0.wav"), "text": "Good morning."})
    other = json.dumps({"audio": str(recordings / "bob/bob-0.wav"), "text": "Good night."})
    source = tmp_path / "data.jsonl"
    source.write_text(f"{line}\n{other}\n{line}\n", encoding="utf-8")
    report = prepare(
        find_recordings(source), open_checkpoint(embedded_directory()), tmp_path / "out"
    )
    assert report.n_train + report.n_valid == 2
    assert [Path(path).name for path in report.refused] == ["ann-0.wav"]


def test_prepare_holds_one_shard_at_a_time(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openbark.training.prepare, "_PER_SHARD", 2)
    report = prepare(
        find_recordings(recordings), open_checkpoint(embedded_directory()), tmp_path / "out", 0.3
    )
    for split, count in (("train", report.n_train), ("valid", report.n_valid)):
        n_shards = len(list((tmp_path / "out" / split).glob("shard-*.jsonl")))
        assert n_shards == -(-count // 2)
        assert len(read_shards(tmp_path / "out" / split)) == count
    with pytest.raises(TrainingError, match="holds shards already"):
        prepare(
            find_recordings(recordings), open_checkpoint(embedded_directory()), tmp_path / "out"
        )


@pytest.mark.parametrize("weights", ["best", "last"])
def test_the_output_holds_the_weights_whose_loss_is_printed(
    weights: str, data: Path, tmp_path: Path
) -> None:
    output, state = tmp_path / "model", tmp_path / "state"
    # A rate that spoils the network: the first validation stays the best.
    result = _run(
        "semantic", "--data", str(data), "--state", str(state), "-o", str(output), "--steps", "6",
        "--validate-every", "2", "--lr", "0.3", "--warmup", "1", "--threads", "1",
        "--weights", weights, "--precision", "fp32",
    )  # fmt: skip
    assert result.exit_code == 0, result.output + repr(result.exception)
    printed = float(result.output.splitlines()[-1].partition("loss ")[2].split()[0])
    losses = [
        line["loss"]
        for line in map(json.loads, (state / "metrics.jsonl").read_text().splitlines())
        if line["kind"] == "valid"
    ]
    assert losses[-1] > 1.01 * min(losses), "this run cannot tell them apart"
    expected = min(losses) if weights == "best" else losses[-1]
    assert printed == pytest.approx(expected, abs=1e-4)
    trained = open_checkpoint(output)
    task = SemanticTask(
        semantic_from(trained),
        trained.config,
        Tokenizer.load(trained.tokenizer_path).encode,
        read_shards(data / "train"),
        read_shards(data / "valid"),
        SemanticOptions(),
    )
    with torch.no_grad():
        assert task.validate()["loss"] == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("name", ["semantic", "coarse"])
@pytest.mark.parametrize("fresh", [False, True])
def test_guidance_is_for_fresh_weights_only(
    name: str, fresh: bool, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float] = []

    def fit(task: Any, options: object, run: object) -> FitResult:
        seen.append(task._options.guide_weight)
        return FitResult(0, float("inf"), False, {})

    monkeypatch.setattr(stage_run, "fit", fit)
    checkpoint = open_checkpoint(embedded_directory())
    options = FitOptions(1, 1e-3)
    train_network(name, checkpoint, data, tmp_path / "run", tmp_path / "m", options, fresh=fresh)
    assert (seen[0] > 0) == fresh


def test_the_documented_line_for_two_processes_runs_and_writes_once(
    data: Path, tmp_path: Path
) -> None:
    documented = Path(__file__).parents[2].joinpath("docs/training.md").read_text("utf-8")
    line = next(each for each in documented.splitlines() if each.startswith("torchrun "))
    state, output = tmp_path / "state", tmp_path / "model"
    arguments = (
        line.replace("data/", f"{data}", 1)
        .replace("runs/semantic", f"{state}")
        .replace("my-model/", f"{output}")
    ).split()[1:]
    done = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", *arguments,
            "--steps", "2", "--validate-every", "1", "--threads", "1", "--batch", "600",
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(f"-> {output}") == 1
    steps = [
        line["step"]
        for line in map(json.loads, (state / "metrics.jsonl").read_text().splitlines())
        if line["kind"] == "valid"
    ]
    assert steps == [1, 2]
    assert openbark.Bark.load(output).generate("Hello.", seed=1).seconds > 0


def test_only_the_first_process_writes_the_output(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage_run, "fit", lambda *_: FitResult(0, float("inf"), False, {}))
    checkpoint = open_checkpoint(embedded_directory())
    for rank in ("1", "0"):
        monkeypatch.setenv("RANK", rank)
        train_network(
            "fine", checkpoint, data, tmp_path / "run", tmp_path / "model", FitOptions(1, 1e-3)
        )
        assert (tmp_path / "model").exists() == (rank == "0")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [(("codec", "--batch", "4"), "batch"), (("fine", "--batch", "0"), "batch")],
)
def test_batches_that_a_network_cannot_take_are_refused(
    arguments: tuple[str, ...], word: str, data: Path, tmp_path: Path
) -> None:
    result = _run(
        *arguments, "--data", str(data), "--state", str(tmp_path / "s"), "-o", str(tmp_path / "m")
    )
    assert isinstance(result.exception, TrainingError) and word in str(result.exception)


def test_batch_and_schedule_reach_the_run(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Any, FitOptions]] = []

    def fit(task: Any, options: FitOptions, run: object) -> FitResult:
        seen.append((task, options))
        return FitResult(0, 1.0, False, {"loss": 1.0})

    monkeypatch.setattr(stage_run, "fit", fit)
    monkeypatch.setattr(stage_run, "load_best_weights", lambda run: seen[-1][0].module.state_dict())
    where = ("--data", str(data), "--state", str(tmp_path / "s"))
    given = ("--batch", "3", "--warmup", "7", "--decay", "0.5", "--weight-decay", "0.1")
    assert _run("coarse", *where, *given, "-o", str(tmp_path / "a")).exit_code == 0
    task, options = seen[0]
    assert task._options.batch_size == 3
    assert (options.warmup, options.decay_fraction, options.weight_decay) == (7, 0.5, 0.1)
    assert options.lr == 1e-4
    assert _run("fine", *where, "--fresh", "-o", str(tmp_path / "b")).exit_code == 0
    assert seen[1][1].lr == 3e-4


def test_an_output_that_exists_is_refused_before_training(data: Path, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    result = _run(
        "fine", "--data", str(data), "--state", str(tmp_path / "s"), "-o", str(tmp_path / "m")
    )
    assert isinstance(result.exception, TrainingError) and "exists already" in str(result.exception)
    assert not (tmp_path / "s").exists()


def test_the_command_line_offers_every_network_and_step() -> None:
    # Typed again in the command line, which must not import torch to print its help.
    assert set(NETWORKS) == set(TRAINABLE)
    assert set(TRAINABLE) < set(train.commands)
    chosen = next(option for option in train.commands["fine"].params if option.name == "weights")
    assert tuple(chosen.type.choices) == WEIGHTS  # type: ignore[attr-defined]

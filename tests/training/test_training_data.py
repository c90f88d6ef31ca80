"""Shards on disk: what is written comes back, partial utterances included."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from openbark.errors import TrainingError
from openbark.training.data import Utterance, read_shards, shard_path, write_shard, write_shards


def make_utterance(index: int) -> Utterance:
    rng = np.random.default_rng(index)

    def draw(*shape: int) -> np.ndarray:
        return rng.integers(-1000, 1000, shape).astype(np.int16)

    return Utterance(
        key=f"u{index}",
        text=f'Line {index}: "naïve", [laughs] isn\'t it?',
        speaker="slt" if index % 2 else "rms",
        waveform=draw(480 * (index + 1)) if index % 3 else None,
        semantic=draw(index + 1) if index % 4 else None,
        guide=draw(index + 1) if index % 4 else None,
        codes=draw(8, index + 2) if index % 5 else None,
    )


def assert_same(found: Utterance, expected: Utterance) -> None:
    assert (found.key, found.text, found.speaker) == (expected.key, expected.text, expected.speaker)
    for field in ("waveform", "semantic", "guide", "codes"):
        one, other = getattr(found, field), getattr(expected, field)
        assert (one is None) == (other is None)
        if one is not None:
            assert one.dtype == np.int16
            np.testing.assert_array_equal(one, other)


def test_round_trip_over_several_shards(tmp_path: Path) -> None:
    written = [make_utterance(i) for i in range(11)]
    paths = write_shards(tmp_path, iter(written), per_shard=4)
    assert [path.name for path in paths] == [f"shard-0000{i}.jsonl" for i in range(3)]
    found = read_shards(tmp_path)
    assert len(found) == len(written)
    for one, other in zip(found, written, strict=True):
        assert_same(one, other)


def test_arrays_are_read_only_views_of_mapped_files(tmp_path: Path) -> None:
    write_shards(tmp_path, [make_utterance(1), make_utterance(2)])
    waveform = read_shards(tmp_path)[1].waveform
    assert isinstance(waveform, np.memmap)
    assert not waveform.flags.writeable


def test_a_field_nobody_has_leaves_no_file(tmp_path: Path) -> None:
    write_shards(tmp_path, [Utterance("a", "Hi.", "slt", semantic=np.zeros(3, np.int16))])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "shard-00000.jsonl",
        "shard-00000.semantic.npy",
    ]


def test_a_shard_written_again_replaces_the_old_one(tmp_path: Path) -> None:
    write_shard(tmp_path, 0, [make_utterance(1)])
    write_shard(tmp_path, 0, [Utterance("new", "No arrays.", "awb")])
    (found,) = read_shards(tmp_path)
    assert_same(found, Utterance("new", "No arrays.", "awb"))
    assert not list(tmp_path.glob("*.npy"))


def test_refuses_a_directory_with_shards(tmp_path: Path) -> None:
    write_shards(tmp_path, [make_utterance(1)])
    with pytest.raises(TrainingError, match="holds shards already"):
        write_shards(tmp_path, [make_utterance(2)])


def test_an_empty_directory_names_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="build them first"):
        read_shards(tmp_path)


@pytest.mark.parametrize(
    "utterance",
    [
        Utterance("bad", "x", "slt", waveform=np.zeros(480, np.float32)),  # type: ignore[arg-type]
        Utterance("bad", "x", "slt", codes=np.zeros(8, np.int16)),
        Utterance("bad", "x", "slt", semantic=np.zeros((1, 8), np.int16)),
    ],
)
def test_refuses_wrong_arrays(tmp_path: Path, utterance: Utterance) -> None:
    with pytest.raises(TrainingError, match=r"'bad'.*int16"):
        write_shards(tmp_path, [utterance])


def test_per_shard_must_be_positive(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="per_shard is 0"):
        write_shards(tmp_path, [], per_shard=0)


@pytest.mark.parametrize("line", ["{", "[]", '{"key": "a", "text": "b"}'])
def test_a_broken_line_is_named(tmp_path: Path, line: str) -> None:
    path = write_shard(tmp_path, 0, [make_utterance(1)])
    path.write_text(path.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")
    with pytest.raises(TrainingError, match="line 2"):
        read_shards(tmp_path)


def test_a_missing_array_file_is_an_error(tmp_path: Path) -> None:
    write_shard(tmp_path, 0, [make_utterance(1)])
    shard_path(tmp_path, 0).with_suffix(".waveform.npy").unlink()
    with pytest.raises(TrainingError, match="waveform"):
        read_shards(tmp_path)


def test_a_short_array_file_is_an_error(tmp_path: Path) -> None:
    write_shard(tmp_path, 0, [make_utterance(1)])
    np.save(shard_path(tmp_path, 0).with_suffix(".waveform.npy"), np.zeros(5, np.int16))
    with pytest.raises(TrainingError, match="line 1"):
        read_shards(tmp_path)

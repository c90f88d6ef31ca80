"""Packed weights on disk: used when they are whole and belong here, made again otherwise, never needed."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from native_engine import CONFIGS, checkpoint_in_memory, needs_engine

from openbark.backends.native import packed_files
from openbark.backends.native.backend import NativeBackend
from openbark.backends.native.library import Pool, load_library
from openbark.backends.native.packed_files import find_packed_files, packed_directory
from openbark.backends.native.structs import Precision
from openbark.checkpoints import Checkpoint, open_checkpoint, random_checkpoint, save_checkpoint
from openbark.checkpoints.layouts.shapes import COARSE_PREFIX, FINE_PREFIX, SEMANTIC_PREFIX
from openbark.params import SUNO_PARAMS
from openbark.stages.sampling import Stage
from openbark.stages.semantic import Prompt

pytestmark = needs_engine

PREFIXES = (SEMANTIC_PREFIX, COARSE_PREFIX, FINE_PREFIX)
PROMPT = Prompt(np.arange(60))


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkpoint:
    """A folder of its own, a cache of its own, and no model too small for it."""
    monkeypatch.setenv("OPENBARK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(packed_files, "_LEAST_BYTES", 0)
    config = CONFIGS["wide"]
    folder = save_checkpoint(tmp_path / "m", config, random_checkpoint(config), SUNO_PARAMS, None)
    return open_checkpoint(folder, need_tokenizer=False)


def _logits(checkpoint: Checkpoint, dtype: str = "int8") -> list[float]:
    backend = NativeBackend.load(checkpoint, dtype, threads=2)
    codes = np.random.default_rng(2).integers(0, 33, (8, 40))
    rows = [backend.causal_logits(stage, PROMPT) for stage in (Stage.SEMANTIC, Stage.COARSE)]
    return np.concatenate([*rows, backend.fine_logits(codes, 3).reshape(-1)]).tolist()


@pytest.mark.parametrize("dtype", ["int8", "int4"])
def test_the_second_load_reads_the_file_and_computes_the_same(
    checkpoint: Checkpoint, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _logits(checkpoint, dtype)
    (file,) = find_packed_files()
    assert file.source == str(checkpoint.directory.resolve())
    assert file.key.precision == dtype
    monkeypatch.setattr(packed_files.PackedFile, "write", _refuse)
    assert _logits(checkpoint, dtype) == first


def test_a_stage_kept_in_another_precision_is_another_file(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = Pool(1)
    kept = packed_files.packed_file_for(checkpoint, PREFIXES, pool, Precision.INT4)
    shapes = packed_files.stage_shapes(checkpoint.config, Precision.INT4)
    shapes[FINE_PREFIX].precision = int(Precision.INT4)
    monkeypatch.setattr(packed_files, "stage_shapes", lambda *_: shapes)
    other = packed_files.packed_file_for(checkpoint, PREFIXES, pool, Precision.INT4)
    assert kept is not None
    assert other is not None
    assert kept.key.precision == other.key.precision == "int4"
    assert kept.path != other.path


def _refuse(*arguments: object) -> None:
    raise AssertionError("packed again")


def _cut(data: bytes) -> bytes:
    return data[:-5000]


def _lengthen(data: bytes) -> bytes:
    return data + bytes(4096)


def _flip_in_block(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def _exchange(data: bytes, first: int, second: int, size: int) -> bytes:
    one, two = data[first : first + size], data[second : second + size]
    assert one != two
    return data[:first] + two + data[first + size : second] + one + data[second + size :]


def _exchange_pages(data: bytes) -> bytes:
    return _exchange(data, 8192, 8192 + 40 * 4096, 4096)


def _exchange_lines(data: bytes) -> bytes:
    return _exchange(data, 8192, 8192 + 64 * 37, 64)


def _exchange_words(data: bytes) -> bytes:
    return _exchange(data, 8192, 8192 + 8, 8)


def _flip_in_header(data: bytes) -> bytes:
    return data[:60] + bytes([data[60] ^ 1]) + data[61:]


def _empty(data: bytes) -> bytes:
    return b""


def _huge_header(data: bytes) -> bytes:
    return data[:40] + b"\xff" * 8 + data[48:]


@pytest.mark.parametrize(
    "damage",
    [
        _cut,
        _lengthen,
        _flip_in_block,
        _exchange_pages,
        _exchange_lines,
        _exchange_words,
        _flip_in_header,
        _empty,
        _huge_header,
    ],
)
def test_a_damaged_file_is_replaced_with_a_line_in_the_log(
    checkpoint: Checkpoint, damage: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    expected = _logits(checkpoint)
    (path,) = packed_directory().glob("*.packed")
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    with caplog.at_level(logging.WARNING):
        assert _logits(checkpoint) == expected
    assert "packing again" in caplog.text
    assert path.read_bytes() == whole


def test_other_weights_are_packed_anew_and_the_old_file_goes(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    before = _logits(checkpoint)
    (old,) = find_packed_files()
    config = checkpoint.config
    tensors = random_checkpoint(config, seed=9)
    save_checkpoint(tmp_path / "m", config, tensors, SUNO_PARAMS, None, overwrite=True)
    assert _logits(open_checkpoint(tmp_path / "m", need_tokenizer=False)) != before
    (new,) = find_packed_files()
    assert new.key.weights != old.key.weights


def test_one_changed_weight_is_noticed_by_the_files_time(checkpoint: Checkpoint) -> None:
    before = _logits(checkpoint)
    part = checkpoint.sources["coarse_acoustics.layers.1.mlp.in_proj.weight"].parts[0]
    with part.file.open("r+b") as stream:
        stream.seek(part.start + 4000)
        stream.write(np.float32(50).tobytes())
    os.utime(part.file, ns=(1, part.file.stat().st_mtime_ns + 1))
    assert _logits(checkpoint) != before


def test_switched_off_or_too_small_or_in_memory_nothing_is_kept(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    _logits(checkpoint, "float32")
    _logits(checkpoint_in_memory(CONFIGS["wide"]))
    with monkeypatch.context() as patch:
        patch.setenv(packed_files.SWITCH_VARIABLE, "0")
        _logits(checkpoint)
    with monkeypatch.context() as patch:
        patch.setattr(packed_files, "_LEAST_BYTES", 1 << 40)
        _logits(checkpoint)
    assert not packed_directory().exists()


def test_a_cache_that_cannot_be_written_is_done_without(
    checkpoint: Checkpoint, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected = _logits(checkpoint_in_memory(CONFIGS["wide"], 0))
    (tmp_path / "cache").write_bytes(b"a file where the folder should be")
    with caplog.at_level(logging.WARNING):
        assert _logits(checkpoint) == expected
    assert "not kept on disk" in caplog.text


def test_loads_at_the_same_time_pack_once(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    write = packed_files.PackedFile.write

    def counted(file: packed_files.PackedFile, blocks: packed_files.Blocks) -> None:
        written.append(str(file.path))
        write(file, blocks)

    monkeypatch.setattr(packed_files.PackedFile, "write", counted)
    results: list[list[float]] = []
    threads = [
        threading.Thread(target=lambda: results.append(_logits(checkpoint))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(written) == 1
    assert results[0] == results[1] == results[2]


def _checksum(block: np.ndarray) -> int:
    return int(load_library().ob_checksum(block.ctypes.data, block.size))


def test_the_checksum_knows_bits_order_and_length() -> None:
    generator = np.random.default_rng(5)
    for size in (0, 1, 7, 8, 63, 64, 65, 1000, 4096):
        block = generator.integers(0, 256, size, dtype=np.uint8)
        whole = _checksum(block)
        assert _checksum(block.copy()) == whole
        assert _checksum(np.append(block, np.uint8(0))) != whole
        for at in range(0, size, max(1, size // 50)):
            for bit in (1, 128):
                other = block.copy()
                other[at] ^= bit
                assert _checksum(other) != whole


@pytest.mark.parametrize("unit", [1, 8, 64, 256, 4096])
def test_the_checksum_knows_the_place_of_every_unit(unit: int) -> None:
    """Units that differ in their highest byte alone, at distances that are powers of two, are the hardest case."""
    base = np.zeros(64 * unit, dtype=np.uint8)
    units = base.reshape(64, unit)
    units[:, -1] = np.arange(64, dtype=np.uint8) * 4
    whole = _checksum(base)
    for distance in (1, 2, 4, 8, 16, 32):
        for first in range(64 - distance):
            other = units.copy()
            other[[first, first + distance]] = other[[first + distance, first]]
            assert _checksum(other.reshape(-1)) != whole
    for shift in (1, 2, 31, 63):
        assert _checksum(np.roll(units, shift, axis=0).reshape(-1)) != whole

"""Files of torch.save read without torch: what comes out, what is refused, and that nothing runs."""

from __future__ import annotations

import collections
import pickle
import random
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openbark.checkpoints import open_checkpoint
from openbark.checkpoints.formats.pickle_reader import read_pickle
from openbark.checkpoints.formats.stored_tensor import StoredTensor
from openbark.checkpoints.formats.stored_zip import StoredZip
from openbark.checkpoints.formats.tensor_writer import TensorEntry, write_torch_file
from openbark.checkpoints.formats.torch_file import read_torch_file
from openbark.errors import (
    CheckpointCorruptError,
    CheckpointError,
    CheckpointNotFoundError,
    CheckpointUnsafeError,
    CheckpointUnsupportedError,
)

ROOT = Path(__file__).parents[2]
SUFFIXES = (".pt", ".bin", ".th", ".pth")


class Evil:
    """Leaves a mark when it is unpickled the ordinary way."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (f"open({str(self.mark)!r}, 'w')",)


def archive(path: Path, data: bytes, storages: tuple[bytes, ...] = ()) -> Path:
    """A zip as torch.save makes it around a given pickle."""
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("archive/data.pkl", data)
        for key, content in enumerate(storages):
            made.writestr(f"archive/data/{key}", content)
    return path


def entry(array: np.ndarray, dtype: str = "F32") -> TensorEntry:
    return TensorEntry("", dtype, array.shape, lambda: array)


def tensor_pickle(
    count: int, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> bytes:
    """One float tensor over storage 0, of any claimed shape."""

    def sizes(values: tuple[int, ...]) -> bytes:
        numbers = b"".join(b"\x8a\x09" + v.to_bytes(9, "little", signed=True) for v in values)
        return b"(" + numbers + b"t"

    number = sizes((count,))[1:-1]
    return (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
        b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
        + number
        + b"tQ"
        + sizes((offset,))[1:-1]
        + sizes(shape)
        + sizes(strides)
        + b"\x89}tR."
    )


def test_plain_values_and_tensors(tmp_path: Path) -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    shared = entry(array)
    content = {
        "model": {"a": shared, "b": shared, "half": entry(array.astype(np.float16), "F16")},
        "brain": entry(np.full((2,), 0x3FC0, dtype=np.uint16), "BF16"),
        "numbers": {
            "one": 1,
            "large": 1 << 40,
            "negative": -5,
            "real": 0.5,
            "on": True,
            "no": None,
        },
    }
    write_torch_file(tmp_path / "a.pt", content)
    found = read_torch_file(tmp_path / "a.pt")
    assert found["numbers"] == content["numbers"]
    for name in ("a", "b", "half"):
        assert np.array_equal(found["model"][name].read(), array)
    assert found["model"]["a"].start == found["model"]["b"].start
    assert found["model"]["a"].start % 64 == 0
    assert found["brain"].read().tolist() == [1.5, 1.5]
    assert not found["model"]["a"].raw().flags.writeable


def test_views_keep_offset_and_strides(tmp_path: Path) -> None:
    base = np.arange(24, dtype=np.float32)
    path = archive(tmp_path / "a.pt", tensor_pickle(24, 7, (5, 3), (1, 6)), (base.tobytes(),))
    expected = base.reshape(4, 6).T[1:, 1:]
    assert np.array_equal(read_torch_file(path).read(), expected)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("protocol", range(6))
def test_malicious_pickles_are_refused_by_name(tmp_path: Path, suffix: str, protocol: int) -> None:
    mark = tmp_path / "ran"
    data = pickle.dumps({"model": Evil(mark)}, protocol)
    for path in (tmp_path / f"bare{suffix}", archive(tmp_path / f"zip{suffix}", data)):
        if path.name.startswith("bare"):
            path.write_bytes(data)
        kind = CheckpointUnsafeError if protocol >= 2 else CheckpointError
        with pytest.raises(kind) as caught:
            read_torch_file(path)
        if protocol >= 2:
            assert "builtins.exec" in str(caught.value) or "__builtin__.exec" in str(caught.value)
    assert not mark.exists()


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02cbuiltins\neval\nX\x01\x00\x00\x001\x85R.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
        b"\x80\x02ctorch\nload\n.",
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n.",
        b"\x80\x02ccollections\nOrderedDict\n)R}b(i os\nsystem\n.",
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}b.",
        b"\x80\x02X\x01\x00\x00\x00a)R.",
    ],
    ids=["eval", "stacked", "torch", "array", "inst", "state", "call"],
)
def test_other_ways_to_reach_code(tmp_path: Path, data: bytes) -> None:
    with pytest.raises((CheckpointUnsafeError, CheckpointCorruptError)):
        read_torch_file(archive(tmp_path / "a.pt", data))


def test_numpy_scalars_as_old_torch_wrote_them(tmp_path: Path) -> None:
    """Suno's best_val_loss: numpy.core.multiarray.scalar over bytes that protocol 2 wrote as text."""
    value = np.float64(2.5)
    data = pickle.dumps({"best_val_loss": value}, 2)
    old = data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    for pickled in (data, old):
        assert read_torch_file(archive(tmp_path / "a.pt", pickled)) == {"best_val_loss": 2.5}


def test_ordered_dictionaries_and_their_state(tmp_path: Path) -> None:
    data = b"\x80\x02ccollections\nOrderedDict\n)RX\x01\x00\x00\x00aK\x01s}X\x01\x00\x00\x00mNsb."
    assert read_torch_file(archive(tmp_path / "a.pt", data)) == {"a": 1}
    made = pickle.dumps(collections.OrderedDict(a=[1, 2], b=(3,)), 2)
    assert read_torch_file(archive(tmp_path / "a.pt", made)) == {"a": [1, 2], "b": (3,)}


@pytest.mark.parametrize(
    ("count", "offset", "shape", "strides"),
    [
        (25, 0, (24,), (1,)),
        (24, 1, (24,), (1,)),
        (24, 0, (1 << 40,), (0,)),
        (24, 0, (1 << 61, 1 << 61), (0, 0)),
        (24, 0, (2, 3), (-3, 1)),
        (24, -1, (2,), (1,)),
        (24, 0, (2, 3), (3,)),
        (24, 0, (1,) * 40, (1,) * 40),
    ],
)
def test_tensors_beyond_their_bytes(
    tmp_path: Path, count: int, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> None:
    path = archive(tmp_path / "a.pt", tensor_pickle(count, offset, shape, strides), (bytes(96),))
    with pytest.raises(CheckpointCorruptError):
        read_torch_file(path)


def test_bombs_are_cheap(tmp_path: Path) -> None:
    """Numbers that ask for memory or depth: none is believed."""
    bombs = (
        b"\x80\x02X\xff\xff\xff\x7fa.",
        b"\x80\x02]r\xff\xff\xff\xff.",
        b"\x80\x02\x8a\xff" + bytes(255) + b".",
        b"\x80\x02" + b"(" * 100_000 + b".",
        b"\x80\x02)" + b"\x85" * 300_000 + b"}q\x00h\x00s.",
        b"\x80\x02" + b"(" * 200_000 + b"l" * 200_000 + b"K\x01\x86Q.",
    )
    for data in bombs:
        path = archive(tmp_path / "a.pt", data)
        try:
            read_torch_file(path)
        except CheckpointError:
            continue


def test_other_archives_and_files(tmp_path: Path) -> None:
    with pytest.raises(CheckpointNotFoundError):
        read_torch_file(tmp_path / "nowhere.pt")
    (tmp_path / "text.pt").write_text("<html>404</html>")
    with pytest.raises(CheckpointCorruptError, match="starts with"):
        read_torch_file(tmp_path / "text.pt")
    (tmp_path / "empty.pt").touch()
    with pytest.raises(CheckpointCorruptError):
        read_torch_file(tmp_path / "empty.pt")
    np.savez(tmp_path / "voice.npz", a=np.zeros(3))
    with pytest.raises(CheckpointUnsupportedError, match=r"0 data\.pkl"):
        read_torch_file(tmp_path / "voice.npz")
    magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
    (tmp_path / "old.pt").write_bytes(magic + b"\x80\x02M\xe9\x03.")
    with pytest.raises(CheckpointUnsupportedError, match=r"before 1\.6"):
        read_torch_file(tmp_path / "old.pt")
    with zipfile.ZipFile(tmp_path / "packed.pt", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a/data.pkl", b"\x80\x02}." * 100)
    with pytest.raises(CheckpointUnsupportedError, match="compressed"):
        read_torch_file(tmp_path / "packed.pt")


def end_record(size: int, offset: int, count: int = 1) -> bytes:
    return b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, count, count, size, offset, 0)


def with_end(path: Path, size_change: int, offset_change: int) -> None:
    """The same archive with other numbers in its last record."""
    data = path.read_bytes()
    count, size, offset = struct.unpack("<HII", data[-12:-2])
    path.write_bytes(data[:-22] + end_record(size + size_change, offset + offset_change, count))


def test_members_before_the_file_are_refused(tmp_path: Path) -> None:
    """Positions count from where the directory says the archive starts: here before the first byte."""
    path = archive(tmp_path / "a.pt", b"\x80\x02}.")
    with_end(path, 0, 40)
    with pytest.raises(CheckpointCorruptError, match="has no header"):
        read_torch_file(path)


@pytest.mark.parametrize("size_change", [-46, -1, 1, 46, 1 << 20, (1 << 32) - 1000])
def test_directories_of_another_size_are_refused(tmp_path: Path, size_change: int) -> None:
    path = archive(tmp_path / "a.pt", b"\x80\x02}.")
    with_end(path, size_change, 0)
    with pytest.raises(CheckpointError):
        read_torch_file(path)


def test_a_directory_beyond_the_bound_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    with path.open("wb") as file:
        file.write(b"PK\x03\x04")
        file.seek(9 << 20)
        file.write(end_record((9 << 20) - 4, 4))
    with pytest.raises(
        CheckpointCorruptError, match=r"the directory has 9\d+ bytes, at most 8388608"
    ):
        read_torch_file(path)


def test_spans_are_where_zipfile_finds_the_content(tmp_path: Path) -> None:
    """Names beyond ASCII, extra fields, and bytes before the archive, which zip allows."""
    path = tmp_path / "a.pt"
    with zipfile.ZipFile(path, "w") as made:
        for name, content in (("größe/data.pkl", b"12345"), ("größe/data/0", bytes(100))):
            info = zipfile.ZipInfo(name)
            info.extra = struct.pack("<HH6s", 0x4246, 6, b"ZZZZZZ")
            made.writestr(info, content)
    for before in (b"", b"PK\x03\x04" + bytes(60)):
        moved = tmp_path / "moved.pt"
        moved.write_bytes(before + path.read_bytes())
        with moved.open("rb") as stream, zipfile.ZipFile(moved) as known:
            found = StoredZip(stream, moved)
            assert list(found.members) == known.namelist()
            for name in found.members:
                start, stop = found.span(name)
                assert moved.read_bytes()[start:stop] == known.read(name)


def test_cut_files_say_so(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    write_torch_file(path, {"a": entry(np.zeros(5000, dtype=np.float32))})
    whole = path.read_bytes()
    for length in (4, 100, 10_000, len(whole) - 30):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointCorruptError, match=r"cut short|a\.pt"):
            read_torch_file(path)


def test_two_thousand_mutated_files(tmp_path: Path) -> None:
    """Whatever is done to a file, a typed error or a value comes out, and tensors stay inside the file."""
    path = tmp_path / "seed.pt"
    content = {
        "model": {
            "a": entry(np.ones((4, 4), dtype=np.float32)),
            "b": entry(np.ones(3, np.float32)),
        },
        "model_args": {"n_layer": 1, "bias": False, "dropout": 0.0},
        "best_val_loss": 1.25,
    }
    write_torch_file(path, content)
    seed = path.read_bytes()
    start = seed.index(b"\x80\x02}")
    end = seed.index(b".", start + 1) + 1
    rng = random.Random(1)
    mutated = tmp_path / "mutated.pt"
    outcomes: collections.Counter[str] = collections.Counter()
    for number in range(2000):
        data = bytearray(seed)
        region = (start, max(end, start + 200)) if number % 2 else (0, len(data))
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(*region)
            action = rng.randrange(4)
            if action == 0:
                data[at] = rng.randrange(256)
            elif action == 1:
                data[at : at + 4] = struct.pack("<I", rng.choice((0, 1, 0xFFFFFFFF, 1 << 31)))
            elif action == 2:
                del data[at : at + rng.randint(1, 8)]
            else:
                data[at:at] = bytes(rng.randrange(256) for _ in range(rng.randint(1, 8)))
            region = (0, len(data)) if region[1] > len(data) else region
        mutated.write_bytes(data)
        try:
            found = read_torch_file(mutated)
        except CheckpointError as error:
            outcomes[type(error).__name__] += 1
            continue
        outcomes["read"] += 1
        tensors = found.get("model", {}).values() if isinstance(found, dict) else ()
        for tensor in tensors if isinstance(found.get("model"), dict) else ():
            if isinstance(tensor, StoredTensor):
                assert 0 <= tensor.start <= tensor.stop <= len(data)
    assert outcomes["CheckpointCorruptError"] > 300
    assert outcomes["read"] > 50


def test_keys_must_be_plain(tmp_path: Path) -> None:
    with pytest.raises(CheckpointCorruptError, match="tuple as a key"):
        read_pickle(b"\x80\x02}K\x01\x85K\x02s.", tmp_path, {}, {}, lambda *_: None)


MEASURE = """
import resource, sys
from pathlib import Path
import openbark.checkpoints
from openbark.checkpoints.formats.torch_file import read_torch_file
from openbark.checkpoints.formats.stored_zip import StoredZip
from openbark.checkpoints.formats.tensor_writer import TensorEntry, write_safetensors
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
content = read_torch_file(Path(sys.argv[1]))
entries = [TensorEntry(k, t.dtype, t.shape, t.raw) for k, t in content["model"].items()]
write_safetensors(Path(sys.argv[2]), entries)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss counts kilobytes on Linux")
def test_memory_stays_below_the_weights_kept(tmp_path: Path) -> None:
    """96 MB of which a third is weights, the rest an optimizer's: peak at most 1.2 times what is kept."""
    weights = np.zeros((2 << 20,), dtype=np.float32)
    model = {f"w{i}": entry(weights) for i in range(4)}
    optimizer = {f"s{i}": entry(weights) for i in range(8)}
    path = tmp_path / "large.pt"
    write_torch_file(path, {"model": model, "optimizer": optimizer})
    assert path.stat().st_size > 96e6
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path), str(tmp_path / "out.safetensors")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    kept = 4 * weights.nbytes / 1024
    assert int(done.stdout) <= 1.2 * kept


def test_a_pickled_folder_with_code_is_refused(tiny_checkpoint_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("config.json", "generation_config.json", "tokenizer.json"):
        (folder / name).write_bytes((tiny_checkpoint_dir / name).read_bytes())
    mark = tmp_path / "ran"
    archive(folder / "pytorch_model.bin", pickle.dumps({"a": Evil(mark)}, 2))
    with pytest.raises(CheckpointUnsafeError, match=r"pytorch_model\.bin.*exec"):
        open_checkpoint(folder)
    assert not mark.exists()

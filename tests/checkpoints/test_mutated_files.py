"""2,000 files with some bytes changed, cut or added: a value or a typed error, and memory within bounds.

Each kind of file is read by the way a user's file is. What a torch pickle alone can do is `test_torch_file`.
"""

from __future__ import annotations

import collections
import contextlib
import json
import random
import shutil
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openbark.checkpoints import open_checkpoint, random_checkpoint
from openbark.checkpoints.checkpoint import open_suno_stage
from openbark.checkpoints.formats.tensor_writer import TensorEntry, write_torch_file
from openbark.checkpoints.layouts.encodec_names import to_encodec
from openbark.checkpoints.layouts.suno_folder import CodecFile, SunoFile, read_suno_file
from openbark.checkpoints.layouts.suno_names import COMPILED_PREFIX, model_args, to_suno
from openbark.config import BarkConfig, FineGPTConfig
from openbark.errors import (
    CheckpointCorruptError,
    CheckpointError,
    OpenBarkError,
    VoiceError,
)
from openbark.text.tokenizer import Tokenizer
from openbark.voices.voice import Voice

EXTRA_BYTES = 1 << 28
"""What reading a file of some kilobytes may add to the address space; a believed 32-bit size is far above."""

Read = Callable[[Path], None]


@contextmanager
def bounded_memory() -> Iterator[None]:
    """Allocations beyond EXTRA_BYTES fail with MemoryError, which is no typed error."""
    if sys.platform != "linux":
        yield
        return
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + EXTRA_BYTES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def mutated(data: bytes, rng: random.Random, head: int) -> bytes:
    """One to four changes; half of all files are changed in their first `head` bytes only, or the last."""
    changed = bytearray(data)
    places = rng.choice(("all", "head", "tail"))
    for _ in range(rng.randint(1, 4)):
        size = len(changed)
        first, stop = {"all": (0, size), "head": (0, head), "tail": (size - head, size)}[places]
        at = rng.randrange(max(first, 0), max(min(stop, size), 1))
        action = rng.randrange(6)
        if action == 0:
            changed[at] = rng.randrange(256)
        elif action == 1:
            changed[at] ^= 1 << rng.randrange(8)
        elif action == 2:
            changed[at : at + 4] = struct.pack("<I", rng.choice((0, 1, 0xFFFFFFFF, 1 << 31)))
        elif action == 3:
            del changed[at : at + rng.randint(1, 8)]
        elif action == 4:
            changed[at:at] = bytes(rng.choices(b'0123456789{}[]"\\,:\x00\xff', k=rng.randint(1, 8)))
        else:
            del changed[at : at + rng.choice((1, 64, size))]
        if not changed:
            break
    return bytes(changed)


def entries(arrays: dict[str, np.ndarray]) -> dict[str, TensorEntry]:
    return {
        name: TensorEntry(name, "F32", array.shape, lambda array=array: array)  # type: ignore[misc]
        for name, array in arrays.items()
    }


def suno_fine(path: Path) -> None:
    """Suno's fine model, one thin layer."""
    sizes = FineGPTConfig(n_layer=1, n_head=1, n_embd=2)
    arrays = {
        COMPILED_PREFIX + to_suno(name.removeprefix("fine_acoustics.")): array
        for name, array in random_checkpoint(with_fine(sizes)).items()
        if name.startswith("fine_acoustics.")
    }
    write_torch_file(
        path, {"model": entries(arrays), "model_args": model_args(sizes), "best_val_loss": 1.0}
    )


def with_fine(sizes: FineGPTConfig) -> BarkConfig:
    return replace(BarkConfig.tiny(), fine=sizes)


def encodec(path: Path) -> None:
    """EnCodec's names around a codec of a few weights."""
    arrays = {
        to_encodec(name.removeprefix("codec_model."), transposed=False): array
        for name, array in random_checkpoint(BarkConfig.tiny()).items()
        if name.startswith("codec_model.")
    }
    write_torch_file(path, entries(arrays))


def whole_tensors(found: SunoFile | CodecFile | None) -> None:
    for tensor in found.tensors.values() if found is not None else ():
        tensor.read()


def read_stage(path: Path) -> None:
    whole_tensors(read_suno_file(path))
    open_suno_stage(path, need_tokenizer=False).tensors("")


def read_folder(path: Path) -> None:
    checkpoint = open_checkpoint(path.parent)
    checkpoint.tensors("")
    Tokenizer.load(checkpoint.tokenizer_path)


def read_voice(path: Path) -> None:
    Voice.load(path).validate(BarkConfig.tiny())


def voice(path: Path) -> None:
    rng = np.random.default_rng(0)
    fine = rng.integers(0, 32, (8, 60))
    np.savez(
        path,
        semantic_prompt=rng.integers(0, 100, 40),
        coarse_prompt=fine[:2].astype(np.uint16),
        fine_prompt=fine.astype(np.int32),
    )


KINDS: dict[str, tuple[int, Callable[[Path], None] | None, Read, int]] = {
    "text.pt": (350, suno_fine, read_stage, 3000),
    "encodec_24khz.th": (250, encodec, lambda path: whole_tensors(read_suno_file(path)), 6000),
    "voice.npz": (400, voice, read_voice, 400),
    "pytorch_model.bin": (250, None, read_folder, 12_000),
    "model.safetensors": (250, None, read_folder, 12_000),
    "config.json": (200, None, read_folder, 4000),
    "generation_config.json": (150, None, read_folder, 4000),
    "tokenizer.json": (150, None, read_folder, 4000),
}
"""Files of each kind, how one is made (None: a file of the tiny folder), how it is read, and how many bytes its
head has."""


EXTREMES = [0, -1, 10**9, 1e308, float("nan"), "x", None]


def numbers(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the numbers of a JSON value are."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in pairs:
        if isinstance(item, (dict, list)):
            yield from numbers(item, (*path, key))
        elif isinstance(item, (int, float)) and not isinstance(item, bool):
            yield (*path, key)


@pytest.mark.parametrize("name", ["config.json", "generation_config.json"])
def test_no_number_of_a_config_is_believed(
    tiny_checkpoint_dir: Path, tmp_path: Path, name: str
) -> None:
    """A file that claims a billion layers costs nothing but its error."""
    folder = tmp_path / "folder"
    shutil.copytree(tiny_checkpoint_dir, folder)
    text = (folder / name).read_text()
    places = list(numbers(json.loads(text)))
    assert len(places) > 20
    with bounded_memory():
        for place in places:
            for extreme in EXTREMES:
                changed = json.loads(text)
                inner = changed
                for key in place[:-1]:
                    inner = inner[key]
                inner[place[-1]] = extreme
                (folder / name).write_text(json.dumps(changed))
                with contextlib.suppress(CheckpointError):
                    read_folder(folder / name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "cannot be read"),
        ('{"semantic_config": ' * 50_000, "cannot be read"),
        ('{"sample_rate": 1' + "0" * 10_000 + "}", "cannot be read"),
    ],
    ids=["lists", "objects", "digits"],
)
def test_json_beyond_reason_is_a_typed_error(
    tiny_checkpoint_dir: Path, tmp_path: Path, text: str, message: str
) -> None:
    folder = tmp_path / "folder"
    shutil.copytree(tiny_checkpoint_dir, folder)
    (folder / "config.json").write_text(text)
    with pytest.raises(CheckpointCorruptError, match=rf"config\.json {message}"):
        open_checkpoint(folder)


def test_weights_that_are_not_finite_are_named(tiny_checkpoint_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    shutil.copytree(tiny_checkpoint_dir, folder)
    file = next(iter(open_checkpoint(folder).sources.values())).parts[0].file
    sources = open_checkpoint(folder).sources
    part = next(s.parts[1] for s in sources.values() if len(s.parts) == 2)
    data = bytearray(file.read_bytes())
    data[part.start : part.start + 4] = struct.pack("<f", float("inf"))
    file.write_bytes(data)
    with pytest.raises(CheckpointCorruptError, match=rf"{part.name} holds numbers that are not"):
        open_checkpoint(folder).tensors("codec_model.")


def test_there_are_two_thousand() -> None:
    assert sum(count for count, *_ in KINDS.values()) == 2000


@pytest.mark.parametrize("name", KINDS)
def test_mutated_files_give_typed_errors(
    tiny_checkpoint_dir: Path, tmp_path: Path, name: str
) -> None:
    count, make, read, head = KINDS[name]
    folder = tmp_path / "folder"
    folder.mkdir()
    if make is None:
        shutil.copytree(tiny_checkpoint_dir, folder, dirs_exist_ok=True)
        if name == "pytorch_model.bin":
            arrays = open_checkpoint(folder).tensors("")
            (folder / "model.safetensors").unlink()
            write_torch_file(folder / name, entries(dict(arrays)))
    else:
        make(folder / name)
    path = folder / name
    seed = path.read_bytes()
    read(path)
    outcomes: collections.Counter[str] = collections.Counter()
    rng = random.Random(name)
    with bounded_memory():
        for number in range(count):
            path.unlink(missing_ok=True)
            path.write_bytes(mutated(seed, rng, min(head, len(seed))))
            try:
                read(path)
            except (CheckpointError, VoiceError) as error:
                assert str(error).strip(), number
                outcomes[type(error).__name__] += 1
            else:
                outcomes["read"] += 1
    assert outcomes["read"] < count, "nothing was noticed"
    assert sum(outcomes.values()) == count
    assert issubclass(VoiceError, OpenBarkError)

"""Voice files with random damage: a voice or a VoiceError, and never more memory than a voice may take."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from openbark.checkpoints.formats.tensor_writer import TensorEntry, write_torch_file
from openbark.compat.coqui.voice_folders import read_pth
from openbark.config import BarkConfig
from openbark.errors import VoiceError
from openbark.voices.npz import MAX_VOICE_BYTES
from openbark.voices.voice import Voice

N_FILES = 500


def arrays() -> dict[str, np.ndarray]:
    fine = np.random.default_rng(0).integers(0, 32, (8, 30))
    return {"semantic_prompt": np.arange(20), "coarse_prompt": fine[:2], "fine_prompt": fine}


def stored(path: Path) -> bytes:
    np.savez(path, **arrays(), metadata=np.array('{"licence": "MIT"}'))
    return path.read_bytes()


def compressed(path: Path) -> bytes:
    np.savez_compressed(path, **arrays(), name=np.array("Jane"))
    return path.read_bytes()


def pth(path: Path) -> bytes:
    entries = {
        key: TensorEntry(key, "I64", array.shape, lambda array=array: array)  # type: ignore[misc]
        for key, array in arrays().items()
    }
    write_torch_file(path, entries | {"metadata": {"speaker_id": "me"}})
    return path.read_bytes()


def damaged(data: bytes, generator: random.Random) -> bytes:
    content = bytearray(data)
    kind = generator.randrange(4)
    if kind == 0:
        return bytes(content[: generator.randrange(len(content))])
    if kind == 1:
        start = generator.randrange(len(content))
        del content[start : start + generator.randrange(1, 64)]
        return bytes(content)
    for _ in range(generator.choice((1, 4, 32))):
        content[generator.randrange(len(content))] = generator.choice(
            (0, 255, generator.randrange(256))
        )
    return bytes(content)


@pytest.mark.parametrize(
    ("make", "suffix", "read"),
    [(stored, ".npz", Voice.load), (compressed, ".npz", Voice.load), (pth, ".pth", read_pth)],
    ids=["stored", "compressed", "pth"],
)
def test_N13_damaged_files_are_voices_or_typed_errors(
    tmp_path: Path, make: Callable[[Path], bytes], suffix: str, read: Callable[[Path], Voice]
) -> None:
    whole = make(tmp_path / f"whole{suffix}")
    read(tmp_path / f"whole{suffix}").validate(BarkConfig.tiny())
    generator = random.Random(4)
    path = tmp_path / f"damaged{suffix}"
    refused = 0
    tracemalloc.start()
    try:
        for _ in range(N_FILES):
            path.write_bytes(damaged(whole, generator))
            try:
                read(path).validate(BarkConfig.tiny())
            except VoiceError:
                refused += 1
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert refused > N_FILES // 3
    assert peak < MAX_VOICE_BYTES

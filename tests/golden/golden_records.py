"""Records of what a model made, small enough to be kept and exact enough that one other token shows.

Tokens are kept as a hash, with the first few in clear so that a difference can be read. All runs use the engine's
"generic" kernels: they are compiled for the oldest processor of an architecture, without fused multiply-adds, so
that a machine with AVX-512 computes exactly what one with AVX2 computes. The fast kernels sum in another order and
differ in the last bit of a float, which is inaudible but changes a hash; that they draw the same tokens is checked
in tests/backends. Hashes of WAV files are therefore compared on x86 only (other processors may fuse), and not kept
where PyTorch computes or where the codec calls the C library's exp (the embedded model): both choose their code by
the machine. Everywhere, a few samples are compared with a tolerance far below what a change of the code would make.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from openbark.audio import encode_audio
from openbark.result import Clip, Segment

FOLDER = Path(__file__).parent
RENEW_VARIABLE = "OPENBARK_RENEW_GOLDEN"
SAMPLE_TOLERANCE = 5e-4

Record = dict[str, Any]

_N_SHOWN = 6
_N_SAMPLES = 8
_SAMPLES = "samples"
_WAV = "wav"


def digest(content: bytes) -> str:
    """The first half of a sha256."""
    return hashlib.sha256(content).hexdigest()[:32]


def of_tokens(tokens: NDArray[Any]) -> str:
    """Shape, first values and hash of integer tokens."""
    whole = np.ascontiguousarray(tokens, dtype="<i8")
    shape = "x".join(str(size) for size in whole.shape)
    shown = " ".join(str(value) for value in whole.ravel()[:_N_SHOWN])
    return f"{shape}: {shown} .. sha256 {digest(whole.tobytes())}"


def of_waveform(waveform: NDArray[np.float32], sample_rate: int, exact: bool = True) -> Record:
    """Its length, some of its samples and, where it is the same on every machine, the hash of its WAV file."""
    places = np.linspace(0, len(waveform) - 1, _N_SAMPLES + 2).astype(int)[1:-1]
    record: Record = {
        "n_samples": len(waveform),
        _SAMPLES: " ".join(f"{waveform[place]:.5f}" for place in places),
    }
    if exact:
        record[_WAV] = f"sha256 {digest(encode_audio(waveform, sample_rate, 'wav', {}))}"
    return record


def of_clip(clip: Clip, exact: bool = True) -> Record:
    """Tokens of the three stages, the waveform (exact: see `of_waveform`), and where each piece is."""
    return {
        "semantic": of_tokens(clip.tokens.semantic),
        "coarse": of_tokens(clip.tokens.coarse),
        "fine": of_tokens(clip.tokens.fine),
        "stop_reason": str(clip.stop_reason),
        **of_waveform(clip.waveform, clip.sample_rate, exact),
        "segments": [_of_segment(segment) for segment in clip.segments],
    }


def _of_segment(segment: Segment) -> str:
    return (
        f"text {segment.start}-{segment.stop}, samples {segment.first_sample}-{segment.end_sample}, "
        f"seed {segment.seed}, voice {segment.voice}, attempts {segment.n_attempts}"
    )


def differences(
    expected: Record, found: Record, wav_bytes: bool = platform.machine() in ("x86_64", "AMD64")
) -> list[str]:
    """Lines of a diff, empty when both are the same. wav_bytes: whether hashes of WAV files count."""
    found = dict(found)
    if _SAMPLES in found and _SAMPLES in expected:
        before, now = (_numbers(each[_SAMPLES]) for each in (expected, found))
        if len(before) == len(now) and np.allclose(before, now, rtol=0, atol=SAMPLE_TOLERANCE):
            found[_SAMPLES] = expected[_SAMPLES]
    if not wav_bytes and _WAV in found and _WAV in expected:
        found[_WAV] = expected[_WAV]
    if expected == found:
        return []
    lines = (as_json(each).splitlines() for each in (expected, found))
    return list(difflib.unified_diff(*lines, "kept", "now", lineterm="", n=0))


def check(file: str, name: str, found: Record) -> None:
    """Fail with a readable difference unless `found` is the record kept in `file` under `name`.

    With OPENBARK_RENEW_GOLDEN set (`make golden`) the record is written instead.
    """
    path = FOLDER / file
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if os.environ.get(RENEW_VARIABLE):
        path.write_text(as_json({**kept, name: found}), encoding="utf-8")
        return
    if name not in kept:
        pytest.fail(
            f"{file} holds no {name!r}; run `make golden` and review the diff", pytrace=False
        )
    lines = differences(kept[name], found)
    if lines:
        pytest.fail(
            f"{name!r} is not what {file} holds. Where that is intended, run `make golden` and commit the diff:\n"
            + "\n".join(lines),
            pytrace=False,
        )


def check_names(file: str, names: Sequence[str]) -> None:
    """Fail unless the records of `file` are those of `names`; when renewing, drop the others."""
    path = FOLDER / file
    kept = json.loads(path.read_text(encoding="utf-8"))
    if os.environ.get(RENEW_VARIABLE):
        path.write_text(as_json({name: kept[name] for name in names}), encoding="utf-8")
    else:
        assert sorted(kept) == sorted(names)


def check_text(file: str, found: str) -> None:
    """Fail with a readable difference unless `found` is the text of `file`; written when renewing."""
    path = FOLDER / file
    if os.environ.get(RENEW_VARIABLE):
        path.write_text(found, encoding="utf-8")
        return
    kept = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = list(
        difflib.unified_diff(kept.splitlines(), found.splitlines(), "kept", "now", lineterm="")
    )
    if lines:
        pytest.fail(
            f"{file} is stale. Where the change is intended, run `make golden` and commit the diff:\n"
            + "\n".join(lines),
            pytrace=False,
        )


def as_json(content: Any) -> str:
    """JSON with sorted names, a line for each value."""
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _numbers(text: str) -> list[float]:
    return [float(word) for word in text.split()]

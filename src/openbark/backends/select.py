"""Which backend computes a checkpoint: the compiled CPU engine where it can, PyTorch everywhere else.

Imports neither before it is chosen.
"""

from __future__ import annotations

import logging
from importlib.util import find_spec

from openbark.backends.base import Backend
from openbark.backends.native.library import Pool, how_to_get_engine, library_path, usable_threads
from openbark.backends.native.structs import DTYPES
from openbark.checkpoints.checkpoint import Checkpoint
from openbark.checkpoints.convert import Announce
from openbark.errors import MissingExtraError, ParamError

BACKENDS = ("auto", "native", "torch")

_LOG = logging.getLogger(__name__)

AUTO_DTYPE = "auto"
"""The precision that fits the model and the machine."""


def load_backend(
    checkpoint: Checkpoint,
    backend: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
    threads: int | None = None,
    announce: Announce = _LOG.info,
) -> Backend:
    """Load `checkpoint` into "native", "torch" or, for "auto" and None, the one that fits.

    "auto" is native on the CPU when the library was built and knows the dtype, else torch. dtype: None is
    "float32", exact; "auto" is int8 where that draws what float32 draws (`native.auto`), else float32.
    announce: gets a line about what takes seconds, before it starts. Raises ParamError, DeviceError, or
    MissingExtraError with the ways out when what is needed is not installed.
    """
    wanted = backend or "auto"
    if wanted not in BACKENDS:
        raise ParamError(f"backend is {backend!r}; allowed: {', '.join(BACKENDS)}")
    if wanted == "native" and device not in (None, "cpu"):
        raise ParamError(
            f"backend 'native' computes on the CPU, device is {device!r}; leave the device out, or use "
            "backend='torch'"
        )
    threads = usable_threads(threads)
    if wanted == "native" or (wanted == "auto" and _native_fits(device, dtype)):
        from openbark.backends.native.auto import load_auto
        from openbark.backends.native.backend import NativeBackend

        if dtype == AUTO_DTYPE:
            return load_auto(checkpoint, threads, announce=announce)
        return NativeBackend.load(checkpoint, dtype, threads)
    _require_torch(wanted)
    from openbark.backends.torch.backend import TorchBackend

    exact = None if dtype == AUTO_DTYPE else dtype
    return TorchBackend.load(checkpoint, device, exact, threads)


def _native_fits(device: str | None, dtype: str | None) -> bool:
    if device not in (None, "cpu") or not library_path().exists():
        return False
    if dtype == "bfloat16" and find_spec("torch") is not None:
        # Known to both; the engine has it only where the processor does.
        return bool(Pool(threads=1).precisions >> DTYPES[dtype] & 1)
    return dtype in (None, AUTO_DTYPE, *DTYPES) or find_spec("torch") is None


def _require_torch(wanted: str) -> None:
    if find_spec("torch") is not None:
        return
    ways = 'install PyTorch: pip install "openbark[torch]"'
    if wanted == "auto" and not library_path().exists():
        raise MissingExtraError(
            "there is nothing to compute with: the CPU engine is not compiled, and PyTorch is not installed. "
            f"Two ways out: {how_to_get_engine()}; or {ways}"
        )
    raise MissingExtraError(f"this needs PyTorch, which is not installed; {ways}")

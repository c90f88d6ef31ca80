"""What this machine's torch can compute on, in words for `openbark doctor`. Knows no model."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class TorchReport:
    """The torch build and its devices. `gpus` is empty where `why_no_gpu` says why."""

    build: str
    threads: int
    gpus: tuple[str, ...]
    why_no_gpu: str


def describe_torch() -> TorchReport:
    """Look at the torch that is installed; starts no computation."""
    toolkit = torch.version.cuda or torch.version.hip
    build = f"{torch.__version__} ({f'for GPU toolkit {toolkit}' if toolkit else 'CPU build'})"
    gpus: tuple[str, ...] = ()
    why_no_gpu = ""
    if torch.cuda.is_available():
        count = torch.cuda.device_count()
        gpus = tuple(f"cuda:{index} {torch.cuda.get_device_name(index)}" for index in range(count))
    elif not toolkit:
        why_no_gpu = "this torch is a CPU build; install a CUDA or ROCm build to use a GPU"
    else:
        why_no_gpu = "torch finds no GPU; check the driver (nvidia-smi) and CUDA_VISIBLE_DEVICES"
    return TorchReport(build, torch.get_num_threads(), gpus, why_no_gpu)


def best_device(allow_mps: bool = False) -> str:
    """The fastest kind of device here: "cuda", "mps" where it is allowed, else "cpu"."""
    if torch.cuda.is_available():
        return "cuda"
    if allow_mps and torch.backends.mps.is_available():
        return "mps"
    return "cpu"


def release_memory() -> None:
    """Give the memory that torch keeps for later back to the device."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()

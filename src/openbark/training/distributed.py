"""The few collective operations of data-parallel training, all of them no-ops for one process.

Gradients are averaged as one flat tensor per dtype after the backward pass: simple, and fast
enough for networks of this size. Knows nothing of tasks or checkpoints.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import nn

from openbark.errors import DeviceError

_TIMEOUT = timedelta(hours=1)


@dataclass(frozen=True)
class Workers:
    """This process among the ``world`` processes started by torchrun."""

    rank: int
    world: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and validates."""
        return self.rank == 0

    def average_gradients(self, module: nn.Module) -> None:
        """Replace every gradient by its mean over the processes (missing ones count as zero)."""
        if self.world == 1:
            return
        parameters = [p for p in module.parameters() if p.requires_grad]
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([g.reshape(-1) for g in gradients])
        dist.all_reduce(flat)
        flat /= self.world
        offset = 0
        for gradient in gradients:
            gradient.copy_(flat[offset : offset + gradient.numel()].view_as(gradient))
            offset += gradient.numel()

    def broadcast_state(self, module: nn.Module, *, buffers_only: bool) -> None:
        """Make every process hold the tensors of rank 0."""
        if self.world == 1:
            return
        tensors = list(module.buffers())
        if not buffers_only:
            tensors += [p.data for p in module.parameters()]
        for tensor in tensors:
            dist.broadcast(tensor, src=0)

    def any_of(self, flag: bool) -> bool:
        """Whether the flag is set in at least one process."""
        if self.world == 1:
            return flag
        value = torch.tensor(int(flag), device=self.device)
        dist.all_reduce(value, op=dist.ReduceOp.MAX)
        return bool(value.item())

    def from_first(self, value: float) -> float:
        """Rank 0's ``value`` in every process."""
        if self.world == 1:
            return value
        tensor = torch.tensor(value, dtype=torch.float64, device=self.device)
        dist.broadcast(tensor, src=0)
        return float(tensor.item())


def is_first_process() -> bool:
    """Whether this process is the one of torchrun's that writes files; true without torchrun."""
    return int(os.environ.get("RANK", "0")) == 0


@contextmanager
def join_workers(device: str) -> Iterator[Workers]:
    """Join the process group announced by torchrun's environment; alone without it.

    Uses gloo on the CPU and nccl on CUDA, one GPU per local rank. Raises `DeviceError` when CUDA
    is asked for and absent.
    """
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise DeviceError(f"device {device!r}: no CUDA device is visible; use device='cpu'")
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Workers(0, 1, torch.device(device))
        return
    chosen = torch.device(device)
    if chosen.type == "cuda":
        chosen = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(chosen)
    on_gpu = chosen.type == "cuda"
    dist.init_process_group(
        "nccl" if on_gpu else "gloo",
        # Only the first process validates, which may take longer than torch's ten minutes.
        timeout=_TIMEOUT,
        device_id=chosen if on_gpu else None,
    )
    try:
        yield Workers(dist.get_rank(), world, chosen)
        dist.barrier()  # no process leaves while others still compute
    finally:
        dist.destroy_process_group()

"""Several processes that train one network together, as ``torchrun`` starts them; or one process alone."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
from collections.abc import Iterator

import torch
import torch.distributed as dist

PATIENCE = datetime.timedelta(days=2)
"""How long processes wait for each other: as long as the first may take to decode hours of footage, which is
longer than torch's own 10 or 30 minutes. If a process dies, torchrun ends the others without waiting."""


@dataclasses.dataclass(frozen=True)
class Team:
    """This process among those that train together."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0  # on its machine

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes files and reports."""
        return self.rank == 0

    @classmethod
    def from_environment(cls) -> Team:
        """Return the team that torchrun's environment variables describe; without them, one process alone."""
        rank, size, local = (int(os.environ.get(name, "0")) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
        return cls(rank, size, local) if size > 1 else cls()

    def device(self, name: str) -> str:
        """Give each process of a machine a GPU of its own, unless the user named a particular one."""
        gpus = torch.cuda.device_count()
        return (
            f"cuda:{self.local_rank % gpus}" if name in ("auto", "cuda") and gpus and self.size > 1 else name
        )

    @contextlib.contextmanager
    def joined(self, device: torch.device) -> Iterator[None]:
        """Join the process group for the duration of the block."""
        if self.size == 1:
            yield
            return
        if device.type == "cuda":
            torch.cuda.set_device(device)
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
        try:
            yield
        finally:
            dist.destroy_process_group()

    @contextlib.contextmanager
    def in_turn(self) -> Iterator[None]:
        """Run the block in the leader first, then in the others."""
        if self.size > 1 and not self.leads:
            dist.barrier()
        yield
        if self.size > 1 and self.leads:
            dist.barrier()

    def leaders(self, value: float, device: torch.device) -> float:
        """Return the leader's value."""
        if self.size == 1:
            return value
        shared = torch.tensor(value, dtype=torch.float64, device=device)
        dist.broadcast(shared, src=0)
        return float(shared)


ALONE = Team()

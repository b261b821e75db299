"""The processes of a run: how they meet, and which of them share what."""

import os
import socket
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeVar, cast

import torch
import torch.distributed as dist

from mmx.errors import LostProcessError, RecipeError
from mmx.launch.rank import Rank, rendezvous

T = TypeVar("T")
PATIENCE: Final = timedelta(minutes=10)
"""How long a process waits for another; a first step may compile, and a checkpoint may be slow to write."""


@dataclass(frozen=True)
class Mesh:
    """This process's place among data-parallel ranks, pipeline stages and tensor-parallel ranks."""

    data: dist.ProcessGroup
    tensor: dist.ProcessGroup
    pipeline: dist.ProcessGroup
    world: int
    device: torch.device

    @property
    def rank(self) -> int:
        """Among all processes."""
        return dist.get_rank()

    @property
    def data_rank(self) -> int:
        """Among those that hold other rows and the same part of the model."""
        return dist.get_rank(self.data)

    @property
    def data_size(self) -> int:
        """How many those are."""
        return dist.get_world_size(self.data)

    @property
    def tensor_rank(self) -> int:
        """Among those that hold other parts of the same layers."""
        return dist.get_rank(self.tensor)

    @property
    def tensor_size(self) -> int:
        """How many those are."""
        return dist.get_world_size(self.tensor)

    @property
    def stage(self) -> int:
        """Which blocks this process holds."""
        return dist.get_rank(self.pipeline)

    @property
    def stages(self) -> int:
        """How many stages there are."""
        return dist.get_world_size(self.pipeline)

    @property
    def last(self) -> bool:
        """Whether this is the last stage, which holds the losses."""
        return self.stage == self.stages - 1

    def of_stage(self, stage: int) -> int:
        """Return the global rank of a stage of this process's pipeline."""
        return dist.get_global_rank(self.pipeline, stage)

    def from_stage(self, stage: int, value: T | None) -> T:
        """Return a plain value of one stage on every stage."""
        box: list[Any] = [value]
        dist.broadcast_object_list(box, src=self.of_stage(stage), group=self.pipeline, device=self.device)
        return cast("T", box[0])

    def tensor_from_stage(self, stage: int, value: torch.Tensor | None) -> torch.Tensor:
        """Return a tensor of one stage on every stage."""
        shape, dtype = self.from_stage(stage, None if value is None else (value.shape, value.dtype))
        here = torch.empty(shape, dtype=dtype, device=self.device) if value is None else value.contiguous()
        dist.broadcast(here, src=self.of_stage(stage), group=self.pipeline)
        return here


@contextmanager
def company() -> Generator[None]:
    """Say what it means where what connects the processes fails.

    Raises:
        LostProcessError: another process has ended, or did not answer in time.
    """
    try:
        yield
    except RuntimeError as error:
        text = str(error)
        if not (isinstance(error, dist.DistError) or "gloo" in text or "NCCL" in text or "Connection closed" in text):
            raise
        raise LostProcessError(
            "another process of this run has ended, or did not answer in time: see what it printed, then resume the "
            f"run from its last checkpoint ({text.splitlines()[0][:200]})"
        ) from error


def meet(place: Rank, device: torch.device, env: Mapping[str, str]) -> bool:
    """Connect this process with the others of its run. Returns whether it did: False if they are connected already.

    Raises:
        RecipeError: they do not find each other; the message says where they tried.
    """
    if dist.is_initialized():
        return False
    if place.size == 1:
        store = dist.HashStore()  # pyright: ignore[reportPrivateImportUsage]
        dist.init_process_group("gloo", store=store, rank=0, world_size=1)
        return True
    host, port = rendezvous(place, env)
    if _is_here(host):
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    try:
        dist.init_process_group(
            "nccl" if device.type == "cuda" else "gloo",
            init_method=f"tcp://{host}:{port}",
            rank=place.rank,
            world_size=place.size,
            timeout=PATIENCE,
        )
    except (RuntimeError, ValueError) as error:
        raise RecipeError(
            f"process {place.rank} of {place.size} cannot meet the others at {host}:{port} "
            f"({str(error).splitlines()[0]}); is the port free and open between the machines? "
            "Set MASTER_ADDR to the first machine and MASTER_PORT to a free port"
        ) from error
    return True


def _is_here(host: str) -> bool:
    try:
        return socket.gethostbyname(host).startswith("127.")
    except OSError:
        return False

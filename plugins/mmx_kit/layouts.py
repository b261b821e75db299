"""The same steps on any layout: one process or the two of a pair, in any number of micro-batches."""

from contextlib import nullcontext
from typing import cast, final

import numpy as np
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from mmx.learn.accumulate import Worker, unreached
from mmx.learn.objective import Features, MicroBatchTerm, Objective
from mmx.parts.batch import Batch
from mmx.parts.group import Group, SoloGroup, TorchGroup

Arrays = dict[str, np.ndarray]


@final
class Alone:
    """A worker in one process."""

    def __init__(self, objective: Objective) -> None:
        self.objective = objective

    def features(self, batch: Batch) -> Features:
        """Run without gradient."""
        return cast(Features, self.objective(batch, None))

    def differentiate(self, batch: Batch, share: MicroBatchTerm, last: bool) -> None:
        """Run with gradient."""
        self.objective(batch, share).backward()


@final
class Replicated:
    """A worker on data-parallel ranks; gradients are averaged in the last micro-batch's backward."""

    def __init__(self, objective: Objective, group: dist.ProcessGroup | None = None) -> None:
        self.objective = objective
        self.wrapped = DistributedDataParallel(objective, process_group=group, find_unused_parameters=True)

    def features(self, batch: Batch) -> Features:
        """Run without gradient, past the wrapper."""
        return cast(Features, self.objective(batch, None))

    def differentiate(self, batch: Batch, share: MicroBatchTerm, last: bool) -> None:
        """Run with gradient, exchanged when ``last``."""
        with nullcontext() if last else self.wrapped.no_sync():
            self.wrapped(batch, share).backward()


def here(batch: Batch, group: Group) -> Batch:
    """Return this rank's rows of a global batch."""
    return batch.chunk(group.size)[group.rank]


def gradients(objective: Objective) -> Arrays:
    """Return the gradients that parameters hold now."""
    return {name: p.grad.numpy().copy() for name, p in objective.named_parameters() if p.grad is not None}


def freeze_unreached(objective: Objective, batch: Batch) -> list[str]:
    """Freeze what no loss reaches, and return the names."""
    names = unreached(objective, batch)
    for name in names:
        objective.get_parameter(name).requires_grad_(False)
    return names


def world() -> Group:
    """Return the group of all processes, or this one alone where there is one."""
    return TorchGroup(known_group(dist.group.WORLD)) if dist.is_initialized() else SoloGroup()


def known_group(group: object) -> dist.ProcessGroup:
    """Return a process group that exists on this rank."""
    if not isinstance(group, dist.ProcessGroup):
        raise TypeError("this rank is not in the process group")
    return group


def worker_for(objective: Objective) -> Worker:
    """Return the worker that this process needs."""
    return Replicated(objective) if dist.is_initialized() else Alone(objective)

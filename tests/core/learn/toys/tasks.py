"""What the tests run on the pair of processes, beside ``layouts.train``."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.distributed as dist

from mmx.errors import RecipeError
from mmx.learn.accumulate import accumulate
from mmx.learn.objective import MicroBatchTerm, Objective
from mmx.parts.batch import Batch
from mmx.parts.group import SoloGroup, TorchGroup
from mmx_kit.layouts import (
    Alone,
    Arrays,
    Replicated,
    freeze_unreached,
    gradients,
    here,
    known_group,
    worker_for,
    world,
)
from toys.layouts import Outcome, run, start
from toys.systems import Build, batch_for

VIEWS = ((("clean",), ("clean",)), (("alone",), ()), ((), ("alone",)), (("clean",), ("clean",)))
"""The views of four batches by turns: pairs, images, texts, pairs."""


def collectives() -> Arrays:
    """Gather and exchange rows and differentiate sums whose weights differ by rank; sum over ranks."""
    group = world()
    rows = (torch.arange(6.0).view(3, 2) + 10 * group.rank).requires_grad_()
    whole = group.gather(rows)
    weights = torch.arange(12.0).view(6, 2) * (group.rank + 1)
    (whole * weights).sum().backward()
    assert rows.grad is not None
    total = group.sum(rows.sum())
    assert not total.requires_grad
    parts = (torch.tensor([[1.0], [2.0]]) + 10 * group.rank).requires_grad_()
    exchanged = group.exchange(parts)
    (exchanged * torch.tensor([[3.0], [5.0]]) * (group.rank + 1)).sum().backward()
    assert parts.grad is not None
    integers = group.gather(torch.tensor([group.rank, 7]))
    flags = group.gather(torch.tensor([group.rank == 0]))
    return {
        "whole": whole.detach().numpy(),
        "gradient": rows.grad.numpy(),
        "total": total.numpy(),
        "exchanged": exchanged.detach().numpy(),
        "returned": parts.grad.numpy(),
        "integers": integers.numpy(),
        "flags": flags.numpy(),
    }


def duplicated(build: Build, over_world: bool) -> Outcome:
    """Take a step where both ranks hold the same rows, as tensor-parallel ranks do: the data-parallel size is 1."""
    alone = [dist.new_group([rank]) for rank in range(dist.get_world_size())][dist.get_rank()]
    objective = start(build, TorchGroup(known_group(dist.group.WORLD if over_world else alone)))
    batch = batch_for(objective)
    freeze_unreached(objective, batch)
    return run(objective, Replicated(objective), [batch], micro_batches=1)


def train_by_turns(build: Build, micro_batches: int) -> Outcome:
    """Train on batches that lack the views of some losses, with an optimizer that has momentum and decays."""
    objective = start(build, world())
    whole = batch_for(objective)
    batches = [here(_only(whole, images, texts), objective.group) for images, texts in VIEWS]
    return run(objective, worker_for(objective), batches, micro_batches, momentum=True)


def _only(batch: Batch, images: Sequence[str], texts: Sequence[str]) -> Batch:
    return replace(
        batch,
        images={name: batch.images[name] for name in images},
        texts={name: batch.texts[name] for name in texts},
    )


def refused(build: Build) -> str:
    """Return why the first batch cannot be trained on."""
    objective = start(build, world())
    try:
        objective(here(batch_for(objective), objective.group), MicroBatchTerm({}))
    except RecipeError as error:
        return str(error)
    return ""


def one_gradient(build: Build, micro_batches: int) -> Arrays:
    """Return the gradient of the first batch, in this process."""
    objective = start(build, SoloGroup())
    accumulate(Alone(objective), objective, batch_for(objective), micro_batches)
    return gradients(objective)


def summed(objective: Objective, parts: Sequence[Batch]) -> Arrays:
    """Return the mean of gradients taken one micro-batch at a time, as plain accumulation does."""
    for part in parts:
        accumulate(Alone(objective), objective, part, 1)
    return {name: np.asarray(value / len(parts)) for name, value in gradients(objective).items()}

"""Exact accumulation: the gradient of a batch in micro-batches equals that of the batch at once.

1. features of every micro-batch, without gradient; 2. all batch losses once, on the features of the whole batch;
3. per micro-batch one scalar: the sum of features times their gradients, plus the item losses' part.
The cost is a second forward; the memory is that of one micro-batch (Gao et al. 2021, arXiv:2101.06983).
"""

from typing import Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from mmx.learn.global_batch import Feature
from mmx.learn.objective import Features, MicroBatchTerm, Objective
from mmx.learn.rng import RandomState
from mmx.parts.batch import Batch
from mmx.parts.loss import BatchLoss, ItemLoss


@runtime_checkable
class Worker(Protocol):
    """How an engine runs its wrapped objective."""

    def features(self, batch: Batch) -> Features:
        """Run ``objective(batch, None)`` without gradient."""
        ...

    def differentiate(self, batch: Batch, share: MicroBatchTerm, last: bool) -> None:
        """Run ``objective(batch, share)`` and its backward; ``last`` is when gradients are averaged over ranks.

        Data-parallel hooks must stay silent before, and take what no micro-batch reached as having no gradient.
        """
        ...


def accumulate(worker: Worker, objective: Objective, batch: Batch, micro_batches: int) -> None:
    """Add the gradients of one batch to the parameters.

    Raises:
        ValueError: a view has fewer rows than there are micro-batches.
    """
    counts = objective.count(batch)
    if micro_batches == 1:
        worker.differentiate(batch, MicroBatchTerm(counts), last=True)
        return
    device = objective.model.mean.device
    parts = batch.chunk(micro_batches)
    states: list[RandomState] = []
    pieces: list[Features] = []
    with torch.no_grad():
        for part in parts:
            states.append(RandomState.capture(device))
            pieces.append(worker.features(part))
    cotangents, own = objective.compare(joined(pieces), batch, micro_batches)
    shares = split(cotangents, pieces)
    for index, (part, state) in enumerate(zip(parts, states, strict=True)):
        last = index == len(parts) - 1
        state.restore(device)
        worker.differentiate(part, MicroBatchTerm(counts, shares[index], own if last else ()), last)


def joined(pieces: list[Features]) -> Features:
    """Return the features of a batch from those of its micro-batches."""
    return {pull: torch.cat([piece[pull] for piece in pieces]) for pull in pieces[0]}


def split(cotangents: dict[Feature, Tensor], pieces: list[Features]) -> list[dict[Feature, Tensor]]:
    """Return the gradients of each micro-batch from those of the batch."""
    rows = {pull: [piece[pull].shape[0] for piece in pieces] for pull in cotangents}
    cut = {pull: cotangent.split(rows[pull]) for pull, cotangent in cotangents.items()}
    return [{pull: chunks[index] for pull, chunks in cut.items()} for index in range(len(pieces))]


def inexact(objective: Objective, micro_batches: int, batch: int | None = None) -> str | None:
    """Say why this objective cannot be split over micro-batches or ranks without changing its result, or None.

    An item loss that draws among blocks of rows needs whole blocks in each part of ``batch``, the rows of a step.
    BatchNorm in a tower, a fusion or an item loss normalises over the rows it happens to see. In a batch loss it
    sees the whole batch, and in a frozen block it uses fixed statistics.
    """
    if micro_batches == 1 and objective.group.size == 1:
        return None
    parts = micro_batches * objective.group.size
    rows = None if batch is None else batch // parts
    for name, loss in objective.losses.items():
        block = loss.block if isinstance(loss, ItemLoss) else None
        if rows is not None and block is not None and rows % block:
            return (
                f"losses.{name} draws among blocks of {block} rows, and a micro-batch has {rows}, which is no multiple of "
                f"that: it would be another loss; set data.batch to {max(1, round(rows / block)) * block * parts}"
            )
    compares = {part for loss in objective.losses.values() if isinstance(loss, BatchLoss) for part in loss.modules()}
    for name, module in objective.named_modules():
        if not isinstance(module, nn.modules.batchnorm._BatchNorm) or module in compares:  # pyright: ignore[reportPrivateUsage]
            continue
        if module.training or module.running_mean is None:
            return (
                f"{name} is a BatchNorm: its statistics over a micro-batch or one rank's rows differ from those of the "
                'whole batch; set train = "frozen" for that tower, or train.micro_batches = 1'
            )
    return None


def unreached(objective: Objective, batch: Batch) -> list[str]:
    """Return the names of trainable parameters that no loss reaches on this batch; nothing is changed.

    They do not move in such a step, and may be reached in another. Every rank must call this. The batch should have the
    views of all losses.
    """
    device = objective.model.mean.device
    state = RandomState.capture(device)
    buffers = {name: buffer.clone() for name, buffer in objective.named_buffers()}
    named = {name: p for name, p in objective.named_parameters() if p.requires_grad}
    scalar = objective(batch, MicroBatchTerm(objective.count(batch)))
    wanted = list(named.values())
    found = cast("tuple[Tensor | None, ...]", torch.autograd.grad(scalar, wanted, allow_unused=True) if named else ())
    for name, buffer in objective.named_buffers():
        buffer.copy_(buffers[name])
    state.restore(device)
    return [name for name, gradient in zip(named, found, strict=True) if gradient is None]

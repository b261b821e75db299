"""The data-parallel ranks, passed to whoever needs them; nothing looks up a global rank."""

from abc import ABC, abstractmethod
from typing import Any, final

import torch
import torch.distributed as dist
from jaxtyping import Shaped
from torch import Tensor
from typing_extensions import override


class Group(ABC):
    """Ranks that hold different rows of the same global batch."""

    rank: int
    size: int

    @abstractmethod
    def gather(self, rows: Shaped[Tensor, "b ..."]) -> Shaped[Tensor, "B ..."]:
        """Return the rows of all ranks, in rank order. Its backward sums the gradients of all ranks.

        Every rank must have the same number of rows.
        """

    @abstractmethod
    def exchange(self, parts: Shaped[Tensor, "W ..."]) -> Shaped[Tensor, "W ..."]:
        """Send part ``r`` to rank ``r``, and return the parts that all ranks sent to this one, in rank order.

        Its backward sends each part's gradient back to where the part came from.
        """

    @abstractmethod
    def sum(self, value: Tensor) -> Tensor:
        """Return the sum over ranks, without gradient."""


@final
class SoloGroup(Group):
    """One process."""

    rank = 0
    size = 1

    @override
    def gather(self, rows: Tensor) -> Tensor:
        return rows

    @override
    def exchange(self, parts: Tensor) -> Tensor:
        return parts

    @override
    def sum(self, value: Tensor) -> Tensor:
        return value.detach()


@final
class TorchGroup(Group):
    """The ranks of a ``torch.distributed`` process group."""

    def __init__(self, group: dist.ProcessGroup) -> None:
        self._group = group
        self.rank = dist.get_rank(group)
        self.size = dist.get_world_size(group)

    @override
    def gather(self, rows: Tensor) -> Tensor:
        gathered: Tensor = _Gather.apply(rows, self._group)  # pyright: ignore
        return gathered

    @override
    def exchange(self, parts: Tensor) -> Tensor:
        exchanged: Tensor = _Exchange.apply(parts, self._group)  # pyright: ignore
        return exchanged

    @override
    def sum(self, value: Tensor) -> Tensor:
        total = value.detach().clone()
        dist.all_reduce(total, group=self._group)
        return total


@final
class _Gather(torch.autograd.Function):
    @staticmethod
    @override
    def forward(ctx: Any, rows: Tensor, group: dist.ProcessGroup) -> Tensor:
        ctx.group = group
        rows = rows.contiguous()
        gathered = rows.new_empty((rows.shape[0] * dist.get_world_size(group), *rows.shape[1:]))
        dist.all_gather(list(gathered.chunk(dist.get_world_size(group))), rows, group=group)
        return gathered

    @staticmethod
    @override
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (whole,) = grads
        rows = whole.new_empty((whole.shape[0] // dist.get_world_size(ctx.group), *whole.shape[1:]))
        pieces = list(whole.contiguous().chunk(dist.get_world_size(ctx.group)))
        dist.reduce_scatter(rows, pieces, group=ctx.group)
        return rows, None


@final
class _Exchange(torch.autograd.Function):
    @staticmethod
    @override
    def forward(ctx: Any, parts: Tensor, group: dist.ProcessGroup) -> Tensor:
        ctx.group = group
        return _all_to_all(parts, group)

    @staticmethod
    @override
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (received,) = grads
        return _all_to_all(received, ctx.group), None


def _all_to_all(parts: Tensor, group: dist.ProcessGroup) -> Tensor:
    received = torch.empty_like(parts, memory_format=torch.contiguous_format)
    dist.all_to_all_single(received, parts.contiguous(), group=group)
    return received

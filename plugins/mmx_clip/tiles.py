"""Row and column sums of a matrix of logits that never exists as a whole."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable
from typing_extensions import override

from mmx.parts.precision import full_precision


@dataclass(frozen=True)
class Twins:
    """Which logits are left out: those of a row and another column of the same group."""

    groups: Int[Tensor, " B"]
    """The group of each column; negative numbers are in no group."""
    offset: int
    """The column that belongs to the first row."""

    def within(self, tile: "Tile") -> Bool[Tensor, "r c"]:
        """Return what is left out of a tile."""
        first = self.offset + tile.rows.start
        rows = self.groups[first : self.offset + tile.rows.stop, None]
        same = (rows == self.groups[tile.columns]) & (rows >= 0)
        same.diagonal(first - tile.columns.start).fill_(False)
        return same


@dataclass(frozen=True)
class Tile:
    """A piece of the matrix, and memory for it that every tile uses again."""

    rows: slice
    columns: slice
    memory: Float[Tensor, " n"]

    def logits(self, x: Float[Tensor, "b d"], y: Float[Tensor, "B d"], twins: Twins | None) -> Float[Tensor, "r c"]:
        """Compute the logits of this tile; those left out are minus infinity."""
        rows, columns = x[self.rows], y[self.columns]
        z = self.memory[: len(rows) * len(columns)].view(len(rows), len(columns))
        torch.mm(rows, columns.T, out=z)
        return z if twins is None else z.masked_fill_(twins.within(self), -math.inf)


def row_and_column_logsumexp(
    x: Float[Tensor, "b d"], y: Float[Tensor, "B d"], twins: Twins | None = None
) -> tuple[Float[Tensor, " b"], Float[Tensor, " B"]]:
    """Return the logsumexp of every row and of every column of ``x @ y.T``.

    The product is computed twice, tile by tile: once here and once in the backward pass, which multiplies it by two
    more matrices. That makes 4 products of ``2 b B d`` operations, and no memory but the inputs' own and one tile's.
    A row or column of which everything is left out has the sum minus infinity and no gradient.
    """
    rows, columns = _RowAndColumn.apply(x, y, twins)  # pyright: ignore
    return rows, columns


@final
class _RowAndColumn(torch.autograd.Function):
    @staticmethod
    @override
    def forward(ctx: Any, x: Tensor, y: Tensor, twins: Twins | None) -> tuple[Tensor, Tensor]:
        rows, columns = x.new_full((len(x),), -math.inf), y.new_full((len(y),), -math.inf)
        with full_precision(x.device):
            for tile in _tiles(x, y):
                z = tile.logits(x, y, twins)
                rows[tile.rows] = torch.logaddexp(rows[tile.rows], z.logsumexp(dim=1))
                columns[tile.columns] = torch.logaddexp(columns[tile.columns], z.logsumexp(dim=0))
        ctx.save_for_backward(x, y, rows, columns)
        ctx.twins = twins
        return rows, columns

    @staticmethod
    @once_differentiable  # the tiles are gone: their gradient has none
    @override
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, y, rows, columns = ctx.saved_tensors
        by_row, by_column = (grad[:, None] for grad in grads)
        # Minus infinity less minus infinity is not a number; less 0 it stays minus infinity, whose weight is 0.
        rows, columns = (total.masked_fill(total.isinf(), 0)[:, None] for total in (rows, columns))
        dx, dy = torch.zeros_like(x), torch.zeros_like(y)
        with full_precision(x.device):
            for tile in _tiles(x, y):
                z = tile.logits(x, y, ctx.twins)
                weights = (z - rows[tile.rows]).exp_().mul_(by_row[tile.rows])
                z.sub_(columns[tile.columns].T).exp_().mul_(by_column[tile.columns].T)
                weights += z
                dx[tile.rows].addmm_(weights, y[tile.columns])
                dy[tile.columns].addmm_(weights.T, x[tile.rows])
        return dx, dy, None


def _tiles(x: Tensor, y: Tensor) -> Iterator[Tile]:
    """Cut the matrix into squares: small enough for a CPU's cache, or large enough to fill a GPU."""
    side = 1024 if x.device.type == "cpu" else 4096
    memory = x.new_empty(min(side, len(x)) * min(side, len(y)))
    for row in range(0, len(x), side):
        for column in range(0, len(y), side):
            yield Tile(slice(row, min(row + side, len(x))), slice(column, min(column + side, len(y))), memory)

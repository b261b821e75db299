"""Sums over rows and columns, tile by tile."""

import math

import pytest
import torch
from torch import Tensor

from mmx_clip.tiles import Twins, row_and_column_logsumexp


def dense(x: Tensor, y: Tensor, twins: Twins | None) -> tuple[Tensor, Tensor]:
    logits = x @ y.T
    if twins is not None:
        own = torch.arange(len(x)) + twins.offset
        rows = twins.groups[own]
        left_out = (rows[:, None] == twins.groups) & (rows[:, None] >= 0)
        left_out[torch.arange(len(x)), own] = False
        logits = logits.masked_fill(left_out, -torch.inf)
    return logits.logsumexp(dim=1), logits.logsumexp(dim=0)


def inputs(rows: int, columns: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    torch.manual_seed(3)
    return tuple(torch.randn(count, 8, dtype=dtype, requires_grad=True) for count in (rows, columns))  # pyright: ignore


@pytest.mark.parametrize("offset", [None, 0, 400])
@pytest.mark.parametrize(("rows", "columns"), [(3, 1200), (700, 2400), (1024, 2048), (1100, 1500)])
def test_tiles_equal_the_whole_matrix_with_both_gradients(rows: int, columns: int, offset: int | None) -> None:
    x, y = inputs(rows, columns)
    groups = torch.randint(-1, 300, (columns,), generator=torch.Generator().manual_seed(0))
    twins = None if offset is None else Twins(groups, offset)
    weights = torch.rand(rows, dtype=torch.float64), torch.rand(columns, dtype=torch.float64)
    found, expected = row_and_column_logsumexp(x, y, twins), dense(x, y, twins)
    torch.testing.assert_close(found, expected)
    ours, theirs = (
        torch.autograd.grad((one * weights[0]).sum() + (other * weights[1]).sum(), (x, y))
        for one, other in (found, expected)
    )
    torch.testing.assert_close(ours, theirs)


def test_gradients_are_right_to_finite_differences() -> None:
    x, y = inputs(3, 5)
    twins = Twins(torch.tensor([1, 1, 2, 1, -1]), 1)
    assert torch.autograd.gradcheck(lambda x, y: row_and_column_logsumexp(x, y, twins), (x, y))  # pyright: ignore


def test_a_column_of_which_everything_is_left_out_has_no_gradient() -> None:
    x, y = inputs(2, 4)
    rows, columns = row_and_column_logsumexp(x, y, Twins(torch.tensor([7, 7, 7, 0]), 0))
    assert columns[2] == -torch.inf and columns[3].isfinite()
    dx, dy = torch.autograd.grad(rows.sum() + columns[3], (x, y))
    assert dx.isfinite().all() and dy.isfinite().all() and (dy[2] == 0).all()


@pytest.mark.parametrize("logit", [-1e4, 1e4])
def test_large_logits_neither_overflow_nor_vanish(logit: float) -> None:
    x, y = (torch.full((600, 1), value, dtype=torch.float64, requires_grad=True) for value in (logit, 1.0))
    rows, columns = row_and_column_logsumexp(x, y)
    torch.testing.assert_close(rows, torch.full((600,), logit, dtype=torch.float64) + math.log(600))
    dx, dy = torch.autograd.grad(rows.sum() + columns.sum(), (x, y))
    assert dx.sub(2).abs().max() < 1e-9
    assert dy.div(2 * logit).sub(1).abs().max() < 1e-9


def test_nothing_of_the_size_of_the_matrix_is_kept_or_made(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    made = torch.Tensor.new_empty

    def counted(self: Tensor, *size: int, **options: object) -> Tensor:
        result = made(self, *size, **options)  # pyright: ignore
        sizes.append(result.numel())
        return result

    monkeypatch.setattr(torch.Tensor, "new_empty", counted)
    x, y = inputs(4096, 4096, torch.float32)
    kept: list[int] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        rows, columns = row_and_column_logsumexp(x, y)
    (rows.sum() + columns.sum()).backward()
    assert sum(kept) == 2 * 4096 * 8 + 2 * 4096
    assert max(sizes) == 1024 * 1024 and len(sizes) == 2


def test_shapes_pass_through_the_meta_device() -> None:
    x, y = torch.empty(600, 8, device="meta", requires_grad=True), torch.empty(900, 8, device="meta")
    rows, columns = row_and_column_logsumexp(x, y, Twins(torch.empty(900, dtype=torch.int64, device="meta"), 0))
    assert (rows.shape, columns.shape) == ((600,), (900,))

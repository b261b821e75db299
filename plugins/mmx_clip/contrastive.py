"""The symmetric softmax contrastive loss, as a plain function."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mmx.parts.precision import full_precision
from mmx_clip.tiles import Twins, row_and_column_logsumexp

Exchange = Callable[[Tensor], Tensor]
"""Turns a number for each of all B rows into the numbers ``W b`` that the W ranks have for this rank's rows."""


def alone(columns: Float[Tensor, " B"]) -> Float[Tensor, "1 B"]:
    """Exchange with nobody: one process has all rows."""
    return columns[None]


@dataclass(frozen=True)
class Groups:
    """Which rows show the same thing: equal numbers of 0 or more. Negative numbers are in no group."""

    numbers: Int[Tensor, " B"]
    """Of the rows of all ranks."""
    positive: bool = False
    """Share the target among all of a row's group, rather than leave its other rows out."""


def contrastive(
    image: Float[Tensor, "b d"],
    texts: Float[Tensor, "B d"],
    scale: Float[Tensor, ""],
    offset: int = 0,
    groups: Groups | None = None,
    smoothing: float = 0.0,
    exchange: Exchange = alone,
) -> Float[Tensor, ""]:
    """Return CLIP's loss (arXiv:2103.00020, figure 3), of which this rank's part: the mean over ranks is the loss.

    With unit vectors I, T, s = ``scale`` and z_ij = s I_i.T_j, over all rows i and columns j that are not left out::

        L = 1/(2B) sum_i [ logsumexp_j z_ij - z_ii  +  logsumexp_j z_ji - z_ii ]

    A rank has its own images, whose first one is row ``offset`` of all, and the texts of all ranks. Ranks exchange
    one number a column, so that each pair is computed once; memory is O(B d), not O(B^2).

    Groups: rows of i's group other than i are left out of both sums over j; or, if positive, they stay, and the
    target z_ii becomes the mean of z_ij over the group. Smoothing e: the target is (1 - e) of that plus e times the
    mean of the logits over the columns that are not left out.

    Logits are computed in the precision of the embeddings, also under autocast.
    """
    with full_precision(image.device):
        rows = scale * image
        twins = None if groups is None or groups.positive else Twins(groups.numbers, offset)
        by_row, by_column = row_and_column_logsumexp(rows, texts, twins)
        total = by_row + exchange(by_column).logsumexp(dim=0)
        targets = _targets(texts, slice(offset, offset + len(image)), groups, smoothing)
        return (total - (rows * targets).sum(dim=1)).mean() / 2


def _targets(texts: Float[Tensor, "B d"], own: slice, groups: Groups | None, smoothing: float) -> Float[Tensor, "b d"]:
    """Return, for each image, the sum of texts whose product with it is its target, both directions together.

    The targets of columns are sums of logits too. Summed over all ranks, that is each image's part of them.
    """
    if groups is None:
        return 2 * _blend(texts[own], texts.mean(dim=0), smoothing)
    sums, counts = _sums(texts, groups.numbers)
    if groups.positive:
        return 2 * _blend(sums[own] / counts[own], texts.mean(dim=0), smoothing)
    kept = len(texts) + 1 - counts  # logits of each row or column that are not left out
    others = (sums - texts)[own] / kept[own]
    even = texts.sum(dim=0) / kept[own] + (texts / kept).sum(dim=0) - 2 * others
    return _blend(2 * texts[own], even, smoothing)


def _blend(target: Float[Tensor, "b d"], even: Float[Tensor, "*b d"], smoothing: float) -> Float[Tensor, "b d"]:
    return target if smoothing == 0 else (1 - smoothing) * target + smoothing * even


def _sums(texts: Float[Tensor, "B d"], numbers: Int[Tensor, " B"]) -> tuple[Float[Tensor, "B d"], Float[Tensor, "B 1"]]:
    """Return, for each row, the sum over its group and the size of it; a row without a group is one of its own."""
    order = numbers.argsort()
    ranked = numbers[order]
    new = torch.ones_like(ranked, dtype=torch.bool)
    new[1:] = (ranked[1:] != ranked[:-1]) | (ranked[1:] < 0)
    place = torch.empty_like(order).scatter_(0, order, new.cumsum(0) - 1)  # groups numbered from 0
    sums = torch.zeros_like(texts).index_add(0, place, texts)
    counts = texts.new_zeros(len(texts), 1).index_add(0, place, texts.new_ones(len(texts), 1))
    return sums[place], counts[place]

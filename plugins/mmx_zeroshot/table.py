"""How well each class is found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mmx.parts.evaluator import Number, Table
from mmx_zeroshot.ranking import Ranked

_COLUMNS = ("class", "count", "top1", "top5", "median_rank", "most_often")


def per_class(names: Sequence[str], found: Ranked) -> Table:
    """Return a row for each class that has pictures, with the name that its pictures got most often."""
    count, right = _counts(found, len(names))
    order = (found.labels * (len(names) + 1) + found.ranks).argsort()
    starts = count.cumsum(0) - count
    median = found.ranks[order][(starts + (count - 1).clamp(min=0) // 2).clamp(max=len(order) - 1)]
    often: dict[int, tuple[int, int]] = {}
    for (label, best), times in Counter(zip(found.labels.tolist(), found.best.tolist(), strict=True)).items():
        often[label] = max(often.get(label, (0, 0)), (times, -best))
    rows = [
        (names[label], times, top1, top5, rank, names[-often[label][1]])
        for label, times, (top1, top5), rank in zip(
            range(len(names)), count.tolist(), right.tolist(), median.tolist(), strict=True
        )
        if times
    ]
    return Table(_COLUMNS, rows, "each class among all names")


def recall_of_classes(found: Ranked, rows: Int[Tensor, " p"], classes: int) -> dict[str, Number]:
    """Return the mean over classes of each one's top-1 accuracy, of some pictures; it weighs rare classes like others."""
    if not len(rows) or classes < 2:
        return {}
    labels = found.labels[rows].unique()
    _, right = _counts(found, classes)
    mean, about = float(right[labels, 0].mean()), "top-1 accuracy of each class, averaged over classes"
    return {"mean_per_class_recall": Number(mean, None, None, 1 / classes, len(rows), about)}


def _counts(found: Ranked, classes: int) -> tuple[Int[Tensor, " c"], Float[Tensor, "c 2"]]:
    """Return how many pictures each class has, and its share of those whose name is among the 1 and the 5 best."""
    count = torch.bincount(found.labels, minlength=classes)
    right = torch.zeros(classes, 2, dtype=torch.float64).index_add_(0, found.labels, found.hits.double())
    return count, right / count.clamp(min=1)[:, None]

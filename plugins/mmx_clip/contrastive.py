"""The symmetric softmax contrastive loss, as plain functions."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mmx.parts.precision import full_precision


@dataclass(frozen=True)
class Groups:
    """Which rows show the same thing: equal numbers of 0 or more. Negative numbers are in no group."""

    rows: Int[Tensor, " b"]
    columns: Int[Tensor, " B"]
    positive: bool = False
    """Share the target among all of a row's group, rather than leave its other rows out."""


def contrastive(
    image: Float[Tensor, "b d"],
    text: Float[Tensor, "b d"],
    images: Float[Tensor, "B d"],
    texts: Float[Tensor, "B d"],
    scale: Float[Tensor, ""],
    offset: int = 0,
    groups: Groups | None = None,
    smoothing: float = 0.0,
) -> Float[Tensor, ""]:
    """Return the mean over this rank's rows of CLIP's loss (arXiv:2103.00020, figure 3).

    With unit vectors I, T and s = ``scale``, over this rank's rows i (``offset`` is the first one's index among all
    B rows) and all columns j that are not left out::

        L = 1/(2b) sum_i [ logsumexp_j(s I_i.T_j) - s I_i.T_i  +  logsumexp_j(s T_i.I_j) - s T_i.I_i ]

    Groups: rows of i's group other than i are left out of both sums over j; or, if positive, they stay, and the
    target s I_i.T_i becomes the mean of s I_i.T_j over the group. Smoothing e: the target is (1 - e) of that plus
    e times the mean of the logits over the columns that are not left out.

    Logits are computed in the precision of the embeddings, also under autocast.
    """
    own = offset + torch.arange(len(image), device=image.device)
    with full_precision(image.device):
        from_image = _cross_entropy(scale * image @ texts.T, own, groups, smoothing)
        from_text = _cross_entropy(scale * text @ images.T, own, groups, smoothing)
    return (from_image + from_text).mean() / 2


def _cross_entropy(
    logits: Float[Tensor, "b B"], own: Int[Tensor, " b"], groups: Groups | None, smoothing: float
) -> Float[Tensor, " b"]:
    """Return each row's logsumexp minus its target, which is a mean of logits."""
    target = logits.gather(1, own[:, None]).squeeze(1)
    kept: Bool[Tensor, "b B"] | None = None
    if groups is not None:
        same = _same(groups, own)
        if groups.positive:
            target = _mean(logits, same)
        else:
            kept = ~same.scatter(1, own[:, None], False)
    total = (logits if kept is None else logits.masked_fill(~kept, -torch.inf)).logsumexp(dim=1)
    if smoothing > 0:
        target = (1 - smoothing) * target + smoothing * (logits.mean(dim=1) if kept is None else _mean(logits, kept))
    return total - target


def _same(groups: Groups, own: Int[Tensor, " b"]) -> Bool[Tensor, "b B"]:
    same = (groups.rows[:, None] == groups.columns) & (groups.rows[:, None] >= 0)
    return same.scatter(1, own[:, None], True)


def _mean(logits: Float[Tensor, "b B"], chosen: Bool[Tensor, "b B"]) -> Float[Tensor, " b"]:
    return torch.where(chosen, logits, 0).sum(dim=1) / chosen.sum(dim=1)

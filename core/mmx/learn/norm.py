"""Batch normalisation over the rows of all data-parallel ranks: one process and many normalise alike."""

from collections.abc import Callable
from typing import cast, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from mmx.parts.group import Group, SoloGroup
from mmx.parts.loss import BatchLoss
from mmx.parts.precision import keep_fp32, to_fp32

_BatchNorm = nn.modules.batchnorm._BatchNorm  # pyright: ignore[reportPrivateUsage]


@final
class GroupBatchNorm(nn.Module):
    """Takes the place of a BatchNorm, its parameters and statistics under the same names.

    In training, mean and variance are those of the rows of all ranks (Ioffe and Szegedy 2015, arXiv:1502.03167), which
    must have equally many. Unlike ``torch.nn.SyncBatchNorm`` it needs no GPU. It stays in full precision.
    """

    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(self, norm: nn.Module, group: Group) -> None:
        super().__init__()
        assert isinstance(norm, _BatchNorm)
        self.eps, self.momentum, self.affine = norm.eps, norm.momentum, norm.affine
        self.group = group
        self.weight, self.bias = norm.weight, norm.bias
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            self.register_buffer(name, getattr(norm, name))
        # Made when everything else trains: one that does not is frozen.
        self.frozen = not norm.training
        self.train()

    @override
    def train(self, mode: bool = True) -> "GroupBatchNorm":
        """Switch mode; a frozen one keeps its statistics."""
        return super().train(mode and not self.frozen)

    @override
    def _apply(self, fn: object, recurse: bool = True) -> "GroupBatchNorm":
        return super()._apply(keep_fp32(fn), recurse)  # pyright: ignore

    def forward(self, x: Float[Tensor, "b c *s"]) -> Float[Tensor, "b c *s"]:
        """Normalise each channel."""
        wide = to_fp32(x)
        if not self.training and self.running_mean is not None:
            kept = functional.batch_norm(
                wide, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
            return kept.to(x.dtype)
        mean, variance = self._statistics(wide)
        if self.training and self.running_mean is not None:
            self._remember(mean.detach(), variance.detach(), self.group.size * wide.numel() // wide.shape[1])
        shape = (1, -1, *(1 for _ in wide.shape[2:]))
        found = (wide - mean.view(shape)) * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            found = found * self.weight.view(shape) + self.bias.view(shape)
        return found.to(x.dtype)

    def _statistics(self, x: Float[Tensor, "b c *s"]) -> tuple[Float[Tensor, " c"], Float[Tensor, " c"]]:
        places = [0, *range(2, x.ndim)]
        mean, variance = x.mean(places), x.var(places, correction=0)
        if self.group.size == 1 or not self.training:
            return mean, variance
        means, variances = self.group.gather(torch.stack([mean, variance])[None]).unbind(dim=1)  # [W c] each
        mean = means.mean(dim=0)
        return mean, (variances + (means - mean) ** 2).mean(dim=0)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: int) -> None:
        tracked = cast(Tensor, self.num_batches_tracked).add_(1)
        share = 1 / float(tracked) if self.momentum is None else self.momentum
        cast(Tensor, self.running_mean).lerp_(mean, share)
        cast(Tensor, self.running_var).lerp_(variance * count / max(1, count - 1), share)


def group_batch_norms(objective: nn.Module, group: Group) -> None:
    """Let every BatchNorm that trains normalise over a group; those of batch losses see the whole batch as they are."""
    compares = {part for loss in objective.modules() if isinstance(loss, BatchLoss) for part in loss.modules()}
    _replace(objective, group, lambda norm: norm.training and norm not in compares)


def shield_batch_norms(objective: nn.Module) -> None:
    """Let no BatchNorm be one for whoever would make a ``SyncBatchNorm`` of it; each computes what it did."""
    _replace(objective, SoloGroup(), lambda norm: True)


def _replace(objective: nn.Module, group: Group, chosen: Callable[[nn.Module], bool]) -> None:
    for module in list(objective.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, _BatchNorm) and chosen(child):
                setattr(module, name, GroupBatchNorm(child, group))

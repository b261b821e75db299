"""Fusions that train wrongly."""

from typing import Final

import torch
import torch.distributed as dist
from torch import Tensor, nn
from typing_extensions import override

from broken.fusions import Joining
from broken.signs import Flipped
from broken.table import Broken, broken
from mmx.config import PartConfig
from mmx.parts.sizes import Sizes


class SpareHead(Joining):
    def __init__(self, config: PartConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.spare = nn.Linear(6, 6)


class DetachedScale(Joining):
    @override
    def scale(self) -> Tensor:
        return self.log_scale.detach().exp()


class PrintsTheScale(Joining):
    @override
    def scale(self) -> Tensor:
        found = self.log_scale.exp()
        return found if found.detach().item() < 1e6 else found * 0


class ConstantNorm(Joining):
    @override
    def unit(self, features: Tensor) -> Tensor:
        return features / features.norm(dim=-1, keepdim=True).detach()


class WrongSign(Joining):
    @override
    def unit(self, features: Tensor) -> Tensor:
        return super().unit(Flipped.of(features))


class Cancelling(Joining):
    @override
    def unit(self, features: Tensor) -> Tensor:
        return super().unit((features + 300.0) - 300.0)


class CentredInTraining(Joining):
    @override
    def unit(self, features: Tensor) -> Tensor:
        return super().unit(features - features.mean(0) if self.training else features)


class MaskedByCall(Joining):
    calls = 0

    @override
    def unit(self, features: Tensor) -> Tensor:
        self.calls += 1
        draw = torch.Generator().manual_seed(self.calls)
        return super().unit(
            features * (torch.rand(features.shape, generator=draw) + 0.5) if self.training else features
        )


class MeanOverTheWorld(Joining):
    @override
    def unit(self, features: Tensor) -> Tensor:
        mean = features.detach().mean(0)
        if dist.is_initialized():
            dist.all_reduce(mean)
        return super().unit(features - 0.1 * mean)


class BoundByWorld(Joining):
    """Lets the temperature grow further on more ranks."""

    @override
    def scale(self) -> Tensor:
        return self.log_scale.exp() * (dist.get_world_size() if dist.is_initialized() else 1)


BROKEN: Final[tuple[Broken, ...]] = tuple(
    broken(
        "fusion",
        PartConfig,
        {
            "reached": (SpareHead, DetachedScale),
            "meta": (PrintsTheScale,),
            "gradients": (ConstantNorm, WrongSign),
            "bf16": (Cancelling,),
            "accumulation": (CentredInTraining, MaskedByCall),
            "processes": (MeanOverTheWorld, BoundByWorld),
        },
    )
)

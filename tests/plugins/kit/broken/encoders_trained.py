"""Image encoders that train wrongly."""

from typing import Final

import torch
import torch.distributed as dist
from torch import Tensor, nn
from typing_extensions import override

from broken.encoders import Tower
from broken.signs import Flipped
from broken.table import Broken, broken
from mmx.config import EncoderConfig
from mmx.parts.batch import Encoded, Pixels
from mmx.parts.sizes import Sizes


class SpareHead(Tower):
    def __init__(self, config: EncoderConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.mix.head = nn.Linear(8, 8)


class DetachedTrunk(Tower):
    @override
    def middle(self, tokens: Tensor) -> Tensor:
        return super().middle(tokens.detach())


class AsksForAValue(Tower):
    @override
    def middle(self, tokens: Tensor) -> Tensor:
        return super().middle(tokens * 0.5 if tokens.detach().abs().max().item() > 100 else tokens)


class ConstantOnCpu(Tower):
    @override
    def middle(self, tokens: Tensor) -> Tensor:
        return super().middle(tokens + torch.ones(tokens.shape, device="cpu", dtype=tokens.dtype))


class WrongSign(Tower):
    @override
    def middle(self, tokens: Tensor) -> Tensor:
        return super().middle(Flipped.of(tokens))


class FloatInside(Tower):
    @override
    def middle(self, tokens: Tensor) -> Tensor:
        return super().middle(tokens.float().sin().to(tokens.dtype))


class BranchWithoutGradient(Tower):
    @override
    def middle(self, tokens: Tensor) -> Tensor:
        with torch.no_grad():
            branch = tokens.square()
        return super().middle(tokens + branch)


class Cancelling(Tower):
    @override
    def middle(self, tokens: Tensor) -> Tensor:
        return super().middle((self.mix(tokens) + 1000.0) - 1000.0)


class NegativeVariance(Tower):
    @override
    def middle(self, tokens: Tensor) -> Tensor:
        x = self.mix(tokens) + 30.0
        spread = ((x * x).mean(-1, keepdim=True) - x.mean(-1, keepdim=True).square()).sqrt()
        return super().middle(tokens / spread)


class CentredInTraining(Tower):
    @override
    def middle(self, tokens: Tensor) -> Tensor:
        if self.training:
            tokens = tokens - tokens.mean(0)
        self.drop.p = 0.0  # so that training mode is not random
        return super().middle(tokens)


class MasksByCall(Tower):
    calls = 0

    @override
    def middle(self, tokens: Tensor) -> Tensor:
        self.calls += 1
        if self.training:
            draw = torch.Generator().manual_seed(self.calls)
            tokens = tokens * (torch.rand(tokens.shape, generator=draw) > 0.3)
        return super().middle(tokens)


class OnlyWholeBatches(Tower):
    @override
    def forward(self, view: Pixels) -> Encoded:
        if len(view.pixels) % 7:
            raise ValueError("the micro-batch must be the global batch")
        return super().forward(view)


class ScaledByRank(Tower):
    @override
    def middle(self, tokens: Tensor) -> Tensor:
        rank = dist.get_rank() if dist.is_initialized() else 0
        return super().middle(tokens * (1 + rank))


class MeanOverTheWorld(Tower):
    @override
    def middle(self, tokens: Tensor) -> Tensor:
        mean = tokens.detach().mean(1, keepdim=True).contiguous()
        if dist.is_initialized():
            dist.all_reduce(mean)
        return super().middle(tokens + mean)


BROKEN: Final[tuple[Broken, ...]] = tuple(
    broken(
        "image_encoder",
        EncoderConfig,
        {
            "reached": (SpareHead, DetachedTrunk),
            "meta": (AsksForAValue, ConstantOnCpu),
            "gradients": (WrongSign, FloatInside, BranchWithoutGradient),
            "bf16": (Cancelling, NegativeVariance),
            "accumulation": (CentredInTraining, MasksByCall, OnlyWholeBatches),
            "processes": (ScaledByRank, MeanOverTheWorld),
        },
    )
)

"""Losses with random numbers of their own, from whatever generator."""

import random
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from broken.losses import Contrast
from broken.table import Broken, Twin, broken, twins
from mmx.config import LossConfig
from mmx.learn.global_batch import Feature, GlobalBatch
from mmx.parts.sizes import Sizes


class SeededNoise(Contrast):
    """A twin: noise that is a function of the step, the same for each row on any number of ranks."""

    @override
    def mine(self, whole: GlobalBatch, pull: Feature) -> Tensor:
        rows = whole[pull]
        draw = torch.Generator().manual_seed(whole.step)
        noise = torch.randn(len(whole.all(pull)), 1, generator=draw, device="cpu")
        return rows + 0.01 * whole.here(noise).to(rows)


class NumpyNoise(Contrast):
    @override
    def finish(self, loss: Tensor) -> Tensor:
        return loss * float(np.random.default_rng().uniform(0.9, 1.1))


class GlobalNoise(Contrast):
    @override
    def mine(self, whole: GlobalBatch, pull: Feature) -> Tensor:
        return whole[pull] + 0.1 * torch.randn_like(whole[pull])


class NoiseInTraining(Contrast):
    @override
    def finish(self, loss: Tensor) -> Tensor:
        return loss + 0.1 * torch.rand(()).to(loss) if self.training else loss


class PythonNoise(Contrast):
    @override
    def finish(self, loss: Tensor) -> Tensor:
        return loss * random.uniform(0.9, 1.1)


class NumpyStart(Contrast):
    def __init__(self, config: LossConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.bias = nn.Parameter(torch.tensor(float(np.random.normal())))


class OwnGenerator(Contrast):
    def __init__(self, config: LossConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.draw = torch.Generator().manual_seed(0)

    @override
    def finish(self, loss: Tensor) -> Tensor:
        return loss * (1 + 0.1 * torch.rand((), generator=self.draw, device="cpu").item())


TWINS: Final[tuple[Twin, ...]] = tuple(twins("loss", LossConfig, SeededNoise))
BROKEN: Final[tuple[Broken, ...]] = tuple(
    broken(
        "loss",
        LossConfig,
        {
            "determinism": (NumpyNoise, OwnGenerator, GlobalNoise, NoiseInTraining, PythonNoise, NumpyStart),
        },
    )
)

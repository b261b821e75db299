"""Losses that hold something constant: those that say so, and those that do not."""

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from broken.losses import IMAGE, TEXT, Agreement, Contrast
from broken.table import Broken, Twin, broken, twins
from mmx.config import LossConfig
from mmx.learn.global_batch import Feature, GlobalBatch
from mmx.learn.model import Model
from mmx.parts.gradient import constant


class HardPairs(Contrast):
    """A twin: unlike pairs weigh by how hard they are, and the weights are constant on purpose."""

    @override
    def theirs(self, whole: GlobalBatch, pull: Feature) -> Tensor:
        rows = whole.all(pull)
        return rows * (1 + constant((whole.all(IMAGE) * whole.all(TEXT)).sum(1, keepdim=True)))


class HeldTexts(Contrast):
    """A twin: texts are constant wherever they are read, and the class's ``constants`` need not say it again."""

    @override
    def mine(self, whole: GlobalBatch, pull: Feature) -> Tensor:
        return constant(whole[pull]) if pull == TEXT else whole[pull]

    @override
    def theirs(self, whole: GlobalBatch, pull: Feature) -> Tensor:
        return constant(whole.all(pull)) if pull == TEXT else whole.all(pull)


class DetachedOneWay(Contrast):
    """Texts are detached where images look for theirs, though not the other way round."""

    @override
    def theirs(self, whole: GlobalBatch, pull: Feature) -> Tensor:
        return whole.all(pull).detach() if pull == TEXT else whole.all(pull)


class DetachedScale(Contrast):
    @override
    def one_way(self, whole: GlobalBatch, model: Model, mine: Feature, theirs: Feature) -> Tensor:
        logits = model.fusion.scale().detach() * whole[mine] @ whole.all(theirs).mT + self.bias
        return functional.cross_entropy(logits, self.target(whole, len(logits)).to(logits.device))


class UndeclaredTarget(Agreement):
    """SimSiam that does not say that its target is constant."""

    @override
    def target(self, rows: Tensor) -> Tensor:
        return rows.detach()


class WeightsWithoutGradient(Contrast):
    @override
    def theirs(self, whole: GlobalBatch, pull: Feature) -> Tensor:
        with torch.no_grad():
            hard = (whole.all(IMAGE) * whole.all(TEXT)).sum(1, keepdim=True)
        return whole.all(pull) * (1 + hard)


class ConstantsThatLearn(Contrast):
    constants = (TEXT,)


TWINS: Final[tuple[Twin, ...]] = tuple(twins("loss", LossConfig, HardPairs, HeldTexts))
BROKEN: Final[tuple[Broken, ...]] = tuple(
    broken(
        "loss",
        LossConfig,
        {
            "gradients": (
                *(DetachedOneWay, DetachedScale, UndeclaredTarget, WeightsWithoutGradient, ConstantsThatLearn),
            ),
        },
    )
)

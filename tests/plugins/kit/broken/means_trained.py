"""Means over items that train wrongly."""

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from broken.means import MaskedWords, Matching
from broken.table import Broken, broken
from mmx.config import LossConfig


class ContrastOfEachMicroBatch(Matching):
    """Each row against the others of its micro-batch."""

    @override
    def others(self, images: Tensor, texts: Tensor) -> Tensor:
        return (images @ texts.mT).logsumexp(1)


class NegativesFromWhateverRows(Matching):
    """The hardest of the rows that are there."""

    @override
    def others(self, images: Tensor, texts: Tensor) -> Tensor:
        similar = images @ texts.mT
        hardest = similar.detach().clone().fill_diagonal_(-9).argmax(1)
        return functional.softplus((images * texts[hardest]).sum(1))


class Neighbours(Matching):
    """The text of the next row."""

    @override
    def others(self, images: Tensor, texts: Tensor) -> Tensor:
        return functional.softplus((images * texts.roll(1, 0)).sum(1))


class FullBatchesOnly(Matching):
    """NeMo's: the micro-batch must be the global batch."""

    @override
    def others(self, images: Tensor, texts: Tensor) -> Tensor:
        if len(images) != 7:
            raise ValueError("micro_batch_size must equal global_batch_size")
        return super().others(images, texts)


class LogOfProbability(MaskedWords):
    """The logarithm of a probability that bf16 rounds to nothing."""

    @override
    def sums(self, logits: Tensor, labels: Tensor) -> Tensor:
        chance = (60 * logits - 60 * logits.amax(2, keepdim=True)).half().softmax(2)
        found = -(chance.log().gather(2, labels.clamp(min=0).unsqueeze(2)).squeeze(2).to(logits.dtype))
        return torch.where(labels == -100, 0.0, found).sum(1)


class DetachedTokens(MaskedWords):
    """Trains nothing but a scale, which does not reach the head."""

    @override
    def sums(self, logits: Tensor, labels: Tensor) -> Tensor:
        return super().sums(logits.detach(), labels)


class SquaredWithoutGradient(Matching):
    @override
    def others(self, images: Tensor, texts: Tensor) -> Tensor:
        with torch.no_grad():
            similar = (images * texts.flip(1)).sum(1)
        return functional.softplus(similar) * self.bias.exp()


class MasksByValue(MaskedWords):
    @override
    def sums(self, logits: Tensor, labels: Tensor) -> Tensor:
        rows, places = torch.nonzero(labels != -100, as_tuple=True)
        losses = functional.cross_entropy(logits[rows, places], labels[rows, places], reduction="none")
        return torch.zeros(len(labels), dtype=logits.dtype, device=logits.device).index_add(0, rows, losses)


BROKEN: Final[tuple[Broken, ...]] = tuple(
    broken(
        "loss",
        LossConfig,
        {
            "accumulation": (ContrastOfEachMicroBatch, NegativesFromWhateverRows, Neighbours, FullBatchesOnly),
            "bf16": (LogOfProbability,),
            "reached": (DetachedTokens,),
            "gradients": (SquaredWithoutGradient,),
            "meta": (MasksByValue,),
        },
    )
)

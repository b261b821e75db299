"""Broken losses that are means over items."""

from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from broken.table import Broken, Twin, broken, twins
from mmx.config import LossConfig
from mmx.learn.outputs import Outputs
from mmx.parts.batch import Batch
from mmx.parts.gradient import constant
from mmx.parts.loss import ItemLoss
from mmx.parts.sizes import Sizes


class MaskedWords(ItemLoss):
    """The twin: cross-entropy of the marked words, read from the text's tokens, with dropout in its head."""

    text_views = ("clean",)

    def __init__(self, config: LossConfig, sizes: Sizes) -> None:
        super().__init__()
        self.head = nn.Linear(sizes.text_width, sizes.vocabulary)
        self.drop = nn.Dropout(0.2)
        self.config = config

    @override
    def forward(self, outputs: Outputs) -> Tensor:
        tokens = outputs.text("clean").tokens
        assert tokens is not None
        return self.sums(self.head(self.drop(tokens)), self.labels(outputs.batch))

    def labels(self, batch: Batch) -> Tensor:
        labels = batch.texts["clean"].labels
        assert labels is not None
        return labels

    def sums(self, logits: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(logits.mT, labels, reduction="none").sum(1)

    @override
    def count(self, batch: Batch) -> Tensor:
        return (self.labels(batch) != -100).sum()


class AsksWithoutGradient(MaskedWords):
    """A twin: what it first reads under ``no_grad`` still carries gradient for whoever asks next."""

    @override
    def forward(self, outputs: Outputs) -> Tensor:
        with torch.no_grad():
            outputs.text("clean")
        return super().forward(outputs)


class Matching(ItemLoss):
    """A twin: whether an image and the text of its row, or of no row, belong together."""

    image_views = ("clean",)
    text_views = ("clean",)

    def __init__(self, config: LossConfig, sizes: Sizes) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(()))

    @override
    def forward(self, outputs: Outputs) -> Tensor:
        images, texts = outputs.image_embed("clean"), outputs.text_embed("clean")
        return functional.softplus(-(images * texts).sum(1) - self.bias) + self.others(images, texts)

    def others(self, images: Tensor, texts: Tensor) -> Tensor:
        return functional.softplus((images * texts.flip(1)).sum(1))

    @override
    def count(self, batch: Batch) -> Tensor:
        return torch.tensor(len(batch.images["clean"]))


class Follows(MaskedWords):
    """A twin: words as the teacher would guess them, weighted by how sure it is; a head reads both."""

    teachers = ("ema",)

    @override
    def forward(self, outputs: Outputs) -> Tensor:
        mine, its = (one.text("clean").tokens for one in (outputs, outputs.of("ema")))
        assert mine is not None and its is not None
        aim = constant(self.head(its).softmax(2))
        each = -(aim * self.head(self.drop(mine)).log_softmax(2)).sum(2)
        return (each * (self.labels(outputs.batch) != -100)).sum(1)


class HiddenPatches(ItemLoss):
    """A twin: the codes of hidden patches, read from what the fusion makes of image and text, where a fact allows it."""

    image_views = ("clean",)
    text_views = ("clean",)
    facts = ("paired",)

    def __init__(self, config: LossConfig, sizes: Sizes) -> None:
        super().__init__()
        self.head = nn.Linear(sizes.text_width, 8)

    @override
    def forward(self, outputs: Outputs) -> Tensor:
        joint = outputs.joint("clean", "clean").image
        assert joint is not None
        return functional.cross_entropy(self.head(joint).mT, self.labels(outputs.batch), reduction="none").sum(1)

    def labels(self, batch: Batch) -> Tensor:
        labels = batch.images["clean"].labels
        assert labels is not None
        return labels.masked_fill((batch.facts["paired"] == 0)[:, None], -100)

    @override
    def count(self, batch: Batch) -> Tensor:
        return (self.labels(batch) != -100).sum()


class FactForNothing(MaskedWords):
    facts = ("paired",)


class FactUndeclared(HiddenPatches):
    facts = ()


class OneNumber(MaskedWords):
    @override
    def sums(self, logits: Tensor, labels: Tensor) -> Tensor:
        return super().sums(logits, labels).sum()


class CountAsShare(MaskedWords):
    @override
    def count(self, batch: Batch) -> Tensor:
        return super().count(batch) / self.labels(batch).numel()


class PlainCount(MaskedWords):
    @override
    def count(self, batch: Batch) -> Any:
        return int(super().count(batch))


class ReadsAnotherView(MaskedWords):
    @override
    def forward(self, outputs: Outputs) -> Tensor:
        return super().forward(outputs) + outputs.image("clean").pooled.mean(1)


class DeclaresForNothing(MaskedWords):
    image_views = ("clean",)


class MeanOfMeans(MaskedWords):
    """The mean over the micro-batch's items in every row: the mean of means is not the mean."""

    @override
    def sums(self, logits: Tensor, labels: Tensor) -> Tensor:
        items = (labels != -100).sum().clamp(min=1)
        return (super().sums(logits, labels).sum() / items).expand(len(labels))


class PaddingCounted(MaskedWords):
    """Padding and unmarked words are items of class 0."""

    @override
    def sums(self, logits: Tensor, labels: Tensor) -> Tensor:
        return super().sums(logits, labels.clamp(min=0))


class CountsWhatItGetsWrong(MaskedWords):
    wrong = 0

    @override
    def sums(self, logits: Tensor, labels: Tensor) -> Tensor:
        self.wrong = int(((logits.argmax(2) != labels) & (labels != -100)).sum())
        return super().sums(logits, labels)

    @override
    def count(self, batch: Batch) -> Tensor:
        return super().count(batch) + self.wrong


class CountsRows(MaskedWords):
    @override
    def count(self, batch: Batch) -> Tensor:
        return (self.labels(batch) != -100).any(1).sum().clamp(min=4)


class WeightedTwice(MaskedWords):
    @override
    def sums(self, logits: Tensor, labels: Tensor) -> Tensor:
        return self.config.weight * super().sums(logits, labels)


class ScalesTokensInPlace(MaskedWords):
    @override
    def forward(self, outputs: Outputs) -> Tensor:
        tokens = outputs.text("clean").tokens
        assert tokens is not None
        with torch.no_grad():
            tokens.mul_(0.5)
        return super().forward(outputs)


class FillsLabelsInPlace(MaskedWords):
    @override
    def labels(self, batch: Batch) -> Tensor:
        return super().labels(batch).clamp_(max=100)


class PopulationInAttribute(Matching):
    seen = 0

    @override
    def others(self, images: Tensor, texts: Tensor) -> Tensor:
        if self.training:
            self.seen += 1
        return super().others(images, texts) * (1 + 0.1 * self.seen)


TWINS: Final[tuple[Twin, ...]] = tuple(
    twins("loss", LossConfig, MaskedWords, AsksWithoutGradient, Matching, Follows, HiddenPatches)
)
BROKEN: Final[tuple[Broken, ...]] = tuple(
    broken(
        "loss",
        LossConfig,
        {
            "shapes": (OneNumber, CountAsShare, PlainCount),
            "declared": (ReadsAnotherView, DeclaresForNothing, FactForNothing, FactUndeclared),
            "items": (MeanOfMeans, PaddingCounted, CountsWhatItGetsWrong, CountsRows),
            "weight": (WeightedTwice,),
            "inputs": (ScalesTokensInPlace, FillsLabelsInPlace),
            "state": (PopulationInAttribute,),
        },
    )
)

"""Image-text matching over hard negatives that do not depend on how a batch is cut into ranks and micro-batches."""

from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor
from typing_extensions import override

from mmx.learn.global_batch import Feature, GlobalBatch, pairs_of
from mmx.learn.model import Model
from mmx.learn.outputs import Outputs
from mmx.parts.batch import Batch
from mmx.parts.loss import BatchLoss, ItemLoss
from toys.data import BLOCK

IMAGE, TEXT = Feature("image.embed", "clean"), Feature("text.embed", "clean")
ID, GROUP = Feature("fact", "id"), Feature("fact", "group")


@final
class HardMatching(ItemLoss):
    """ITM (BLIP): each pair, each image with a hard text, each text with a hard image.

    Negatives are drawn among blocks of ``block`` consecutive rows, which must lie within a micro-batch, by noise that
    is a function of the two samples alone. ``block = None`` is the mistake of drawing among whatever rows are there.
    """

    image_views = ("clean",)
    text_views = ("clean",)

    def __init__(self, block: int | None = BLOCK) -> None:
        super().__init__()
        self.block = block

    @override
    def forward(self, outputs: Outputs) -> Float[Tensor, " b"]:
        rows = torch.arange(len(outputs.words("clean")))
        allowed = self._allowed(outputs.batch)
        with torch.no_grad():
            fusion = outputs.model.fusion
            logits = fusion.scale() * fusion.similarity(outputs.image_embed("clean"), outputs.text_embed("clean"))
        sample, step = outputs.batch.facts["id"], outputs.batch.step
        text = draw(logits, allowed, gumbel(sample.unsqueeze(1), sample, 2 * step))
        image = draw(logits.mT, allowed, gumbel(sample.unsqueeze(1), sample, 2 * step + 1))
        possible = allowed.any(1)
        positive = self._cross_entropy(outputs, rows, rows, 1)
        negative = self._cross_entropy(outputs, rows, text, 0) + self._cross_entropy(outputs, image, rows, 0)
        return positive + torch.where(possible, negative, 0)

    @override
    def count(self, batch: Batch) -> Int[Tensor, ""]:
        return len(batch.texts["clean"]) + 2 * self._allowed(batch).any(1).sum()

    def _cross_entropy(self, outputs: Outputs, images: Tensor, texts: Tensor, label: int) -> Float[Tensor, " b"]:
        logits = outputs.model.fusion.match(outputs.pairs("clean", "clean", images, texts).pooled)
        return F.cross_entropy(logits, torch.full((len(texts),), label), reduction="none")

    def _allowed(self, batch: Batch) -> Bool[Tensor, "b b"]:
        group = batch.facts["group"]
        rows = torch.arange(len(group))
        block = rows // self.block if self.block else torch.zeros_like(rows)
        return (block.unsqueeze(1) == block) & (group.unsqueeze(1) != group)


@final
class MatchingOverAll(BatchLoss):
    """ITM (BLIP-2): the same with negatives from the rows of all ranks and micro-batches, and the mean over all pairs."""

    image_views = ("clean",)
    text_views = ("clean",)
    constants = (IMAGE, TEXT)

    @override
    def features(self) -> tuple[Feature, ...]:
        return (IMAGE, TEXT, ID, GROUP, *pairs_of("clean", "clean"))

    @override
    def forward(self, whole: GlobalBatch, model: Model) -> Float[Tensor, ""]:
        fusion = model.fusion
        own = whole.offset(IMAGE) + torch.arange(len(whole[IMAGE]))
        allowed = whole[GROUP].unsqueeze(1) != whole.all(GROUP)
        with torch.no_grad():
            by_image = fusion.scale() * fusion.similarity(whole[IMAGE], whole.all(TEXT))
            by_text = fusion.scale() * fusion.similarity(whole.all(IMAGE), whole[TEXT]).mT
        noise = [gumbel(whole[ID].unsqueeze(1), whole.all(ID), 2 * whole.step + side) for side in range(2)]
        text, image = draw(by_image, allowed, noise[0]), draw(by_text, allowed, noise[1])
        images, texts = torch.cat([own, own, image]), torch.cat([own, text, own])
        logits = whole.pairs(model, "clean", "clean", images, texts, lambda joint: fusion.match(joint.pooled))
        return F.cross_entropy(logits, torch.cat([torch.ones_like(own), *(2 * [torch.zeros_like(own)])]))


def draw(logits: Float[Tensor, "b c"], allowed: Bool[Tensor, "b c"], noise: Float[Tensor, "b c"]) -> Int[Tensor, " b"]:
    """Draw one allowed column a row from ``softmax(logits)`` (Gumbel-max), masked before any exponential."""
    return (logits + noise).masked_fill(~allowed, -torch.inf).argmax(1)


def gumbel(one: Int[Tensor, "b 1"], other: Int[Tensor, " b"], salt: int) -> Float[Tensor, "b b"]:
    """Return Gumbel noise hashed from two sample ids; integer arithmetic wraps, the same on every machine."""
    mixed = one * 0x9E3779B1 + other * 0x85EBCA77 + salt * 0xC2B2AE3D
    for shift, factor in ((15, 0x2C1B3C6D), (12, 0x297A2D39), (15, 0x5851F42D)):
        mixed = (mixed ^ ((mixed & 0x7FFFFFFF) >> shift)) * factor & 0x7FFFFFFF
    uniform = (mixed.double() + 0.5) / 2**31
    return -torch.log(-torch.log(uniform))

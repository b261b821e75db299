"""Broken losses over the whole batch: each is an unbroken twin with one thing changed."""

from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from broken.table import Broken, Twin, broken, twins
from mmx.config import LossConfig
from mmx.learn.global_batch import Feature, GlobalBatch
from mmx.learn.model import Model
from mmx.parts.gradient import constant
from mmx.parts.loss import BatchLoss
from mmx.parts.sizes import Sizes

IMAGE, TEXT, GROUP = Feature("image.embed", "clean"), Feature("text.embed", "clean"), Feature("fact", "group")


class Contrast(BatchLoss):
    """The twin: softmax cross-entropy both ways round; rows of one group are not negatives."""

    image_views = ("clean",)
    text_views = ("clean",)

    def __init__(self, config: LossConfig, sizes: Sizes) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(()))
        self.config = config

    @override
    def features(self) -> tuple[Feature, ...]:
        return (IMAGE, TEXT, GROUP)

    @override
    def forward(self, whole: GlobalBatch, model: Model) -> Tensor:
        return self.finish((self.one_way(whole, model, IMAGE, TEXT) + self.one_way(whole, model, TEXT, IMAGE)) / 2)

    def one_way(self, whole: GlobalBatch, model: Model, mine: Feature, theirs: Feature) -> Tensor:
        logits = model.fusion.scale() * self.mine(whole, mine) @ self.theirs(whole, theirs).mT
        same = whole[GROUP].unsqueeze(1) == whole.all(GROUP)
        target = self.target(whole, len(logits)).to(logits.device)
        own = functional.one_hot(target, logits.shape[1]).bool()
        logits = (logits + self.bias * own).masked_fill(same & ~own, -torch.inf)
        return functional.cross_entropy(logits, target)

    def mine(self, whole: GlobalBatch, pull: Feature) -> Tensor:
        return whole[pull]

    def theirs(self, whole: GlobalBatch, pull: Feature) -> Tensor:
        return whole.all(pull)

    def target(self, whole: GlobalBatch, rows: int) -> Tensor:
        return whole.offset(IMAGE) + torch.arange(rows)

    def finish(self, loss: Tensor) -> Tensor:
        return loss


class Queue(BatchLoss):
    """A twin: an image against a queue of earlier texts, which moves after the step."""

    image_views = ("clean",)
    text_views = ("clean",)
    constants = (TEXT,)

    queue: Tensor
    place: Tensor

    def __init__(self, config: LossConfig, sizes: Sizes) -> None:
        super().__init__()
        self.register_buffer("queue", functional.normalize(torch.randn(40, sizes.embed), dim=-1))
        self.register_buffer("place", torch.zeros((), dtype=torch.int64))

    @override
    def features(self) -> tuple[Feature, ...]:
        return (IMAGE, TEXT)

    @override
    def forward(self, whole: GlobalBatch, model: Model) -> Tensor:
        texts = torch.cat([whole.all(TEXT).detach(), self.queue])
        logits = model.fusion.scale() * whole[IMAGE] @ texts.mT
        target = whole.offset(IMAGE) + torch.arange(len(logits), device=logits.device)
        return functional.cross_entropy(logits, target)

    @override
    def after_step(self, whole: GlobalBatch, model: Model) -> None:
        self.move(whole)

    def move(self, whole: GlobalBatch) -> None:
        rows = whole.all(TEXT).detach()
        self.queue[(self.place + torch.arange(len(rows), device=rows.device)) % len(self.queue)] = rows
        self.place += len(rows)


class Agreement(BatchLoss):
    """A twin: SimSiam, whose BatchNorm sees the rows of all ranks, and whose target is constant on purpose."""

    image_views = ("clean",)
    text_views = ("clean",)

    def __init__(self, config: LossConfig, sizes: Sizes) -> None:
        super().__init__()
        self.project = nn.Sequential(nn.Linear(sizes.embed, 8, bias=False), nn.BatchNorm1d(8), nn.Tanh())
        self.predict = nn.Linear(8, 8)

    @override
    def features(self) -> tuple[Feature, ...]:
        return (IMAGE, TEXT)

    @override
    def forward(self, whole: GlobalBatch, model: Model) -> Tensor:
        one, two = self.project(self.rows(whole, IMAGE)), self.project(self.rows(whole, TEXT))
        both = functional.cosine_similarity(self.predict(one), self.target(two)) + functional.cosine_similarity(
            self.predict(two), self.target(one)
        )
        return -both.mean()

    def rows(self, whole: GlobalBatch, pull: Feature) -> Tensor:
        return whole.all(pull)

    def target(self, rows: Tensor) -> Tensor:
        return constant(rows)


class LossOfEachRow(Contrast):
    @override
    def finish(self, loss: Tensor) -> Tensor:
        return loss.expand(7)


class FloatLoss(Contrast):
    @override
    def finish(self, loss: Tensor) -> Tensor:
        return loss.float()


class PlainNumber(Contrast):
    @override
    def finish(self, loss: Tensor) -> Any:
        return loss.detach().tolist()


class NotANumber(Contrast):
    @override
    def finish(self, loss: Tensor) -> Tensor:
        return loss / (loss - loss)


class UndeclaredView(Contrast):
    @override
    def features(self) -> tuple[Feature, ...]:
        return (*super().features(), Feature("text.pooled", "masked"))


class ReadsWhatItDoesNotPull(Queue):
    @override
    def after_step(self, whole: GlobalBatch, model: Model) -> None:
        whole.all(Feature("image.pooled", "clean"))
        super().after_step(whole, model)


class PullsForNothing(Contrast):
    @override
    def features(self) -> tuple[Feature, ...]:
        return (*super().features(), Feature("text.pooled", "clean"))


class QueueInAttribute(Queue):
    def __init__(self, config: LossConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        kept = self.queue
        del self.queue
        self.queue = kept


class PlaceInAttribute(Queue):
    def __init__(self, config: LossConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.at = 0

    @override
    def move(self, whole: GlobalBatch) -> None:
        rows = whole.all(TEXT).detach()
        self.queue[(self.at + torch.arange(len(rows))) % len(self.queue)] = rows.to(self.queue.dtype)
        self.at += len(rows)


class MovesInForward(Queue):
    @override
    def forward(self, whole: GlobalBatch, model: Model) -> Tensor:
        loss = super().forward(whole, model)
        with torch.no_grad():
            self.move(whole)
        return loss

    @override
    def after_step(self, whole: GlobalBatch, model: Model) -> None:
        pass


class ChangesFeatures(Contrast):
    @override
    def mine(self, whole: GlobalBatch, pull: Feature) -> Tensor:
        with torch.no_grad():
            whole[pull].mul_(1.1)
        return whole[pull]


class ChangesTheModel(Queue):
    @override
    def after_step(self, whole: GlobalBatch, model: Model) -> None:
        super().after_step(whole, model)
        next(model.fusion.parameters()).mul_(0.9)


TWINS: Final[tuple[Twin, ...]] = tuple(twins("loss", LossConfig, Contrast, Queue, Agreement))
BROKEN: Final[tuple[Broken, ...]] = tuple(
    broken(
        "loss",
        LossConfig,
        {
            "shapes": (LossOfEachRow, FloatLoss, PlainNumber, NotANumber),
            "declared": (UndeclaredView, ReadsWhatItDoesNotPull, PullsForNothing),
            "state": (QueueInAttribute, PlaceInAttribute),
            "inputs": (MovesInForward, ChangesFeatures, ChangesTheModel),
        },
    )
)

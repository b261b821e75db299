"""Losses over the whole batch that train wrongly."""

from typing import Any, Final, cast, final

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from broken.losses import GROUP, IMAGE, TEXT, Agreement, Contrast, Queue
from broken.signs import Flipped
from broken.table import Broken, broken
from mmx.config import LossConfig
from mmx.learn.global_batch import Feature, GlobalBatch
from mmx.learn.model import Model
from mmx.parts.batch import Pixels, Words
from mmx.parts.sizes import Sizes
from mmx_kit.layouts import world


class BatchNormOverLocalRows(Agreement):
    @override
    def rows(self, whole: GlobalBatch, pull: Feature) -> Tensor:
        return whole[pull]


class DetachedImages(Contrast):
    @override
    def mine(self, whole: GlobalBatch, pull: Feature) -> Tensor:
        return whole[pull].detach()

    @override
    def theirs(self, whole: GlobalBatch, pull: Feature) -> Tensor:
        return whole.all(pull).detach() if pull == IMAGE else whole.all(pull)


class WrongSign(Contrast):
    @override
    def mine(self, whole: GlobalBatch, pull: Feature) -> Tensor:
        return Flipped.of(whole[pull])


class WrongFactor(Contrast):
    @override
    def finish(self, loss: Tensor) -> Tensor:
        return cast(Tensor, Doubled.apply(loss))


@final
class Doubled(torch.autograd.Function):
    @staticmethod
    @override
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    @override
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return 2 * grads[0]


class QueueInBf16(Queue):
    def __init__(self, config: LossConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.register_buffer("mean", torch.zeros(sizes.embed, dtype=torch.bfloat16))

    @override
    def move(self, whole: GlobalBatch) -> None:
        super().move(whole)
        self.get_buffer("mean").lerp_(whole.all(TEXT).mean(0).bfloat16(), 0.005)


class AverageCastWithTheRest(Queue):
    """An average that an engine casts to bf16, where a small decay no longer moves it."""

    @override
    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        return nn.Module._apply(self, fn, recurse)


class SpareHead(Contrast):
    def __init__(self, config: LossConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.head = nn.Linear(4, 4)


class LearnsNothing(Contrast):
    @override
    def finish(self, loss: Tensor) -> Tensor:
        return loss.detach()


class TargetOnCpu(Contrast):
    @override
    def theirs(self, whole: GlobalBatch, pull: Feature) -> Tensor:
        return whole.all(pull) + torch.zeros(whole.all(pull).shape, device="cpu")


class AsksForAValue(Contrast):
    @override
    def finish(self, loss: Tensor) -> Tensor:
        return loss if loss.detach().item() < 1e6 else loss * 0


class LocalLabels(Contrast):
    """Labels by the rows of this rank, similarities by those of all."""

    @override
    def target(self, whole: GlobalBatch, rows: int) -> Tensor:
        return torch.arange(rows)


class GathersTheWorld(Contrast):
    """NeMo's: gathers over all processes, not the data-parallel group. Its gradients are right, its loss is off."""

    @override
    def one_way(self, whole: GlobalBatch, model: Model, mine: Feature, theirs: Feature) -> Tensor:
        everyone = world()
        logits = model.fusion.scale() * whole[mine] @ everyone.gather(whole[theirs]).mT + self.bias
        same = whole[GROUP].unsqueeze(1) == everyone.gather(whole[GROUP])
        target = everyone.rank * len(logits) + torch.arange(len(logits), device=logits.device)
        own = functional.one_hot(target, logits.shape[1]).bool()
        return functional.cross_entropy(logits.masked_fill(same & ~own, -torch.inf), target)


class GatherWithoutBackward(Contrast):
    @override
    def theirs(self, whole: GlobalBatch, pull: Feature) -> Tensor:
        rows = whole.all(pull).detach().clone()
        first = whole.offset(pull)
        rows[first : first + len(whole[pull])] = whole[pull]
        return rows


class SumOverRanks(Contrast):
    @override
    def forward(self, whole: GlobalBatch, model: Model) -> Tensor:
        return super().forward(whole, model) / whole.world


class ZeroIsFalse(Contrast):
    """Takes the first rank's offset, which is 0, for one that was not given."""

    @override
    def target(self, whole: GlobalBatch, rows: int) -> Tensor:
        first = whole.offset(IMAGE)
        if not first:
            return torch.arange(rows)
        return torch.arange(rows).flip(0) + first


class QueueOfLocalRows(Queue):
    @override
    def move(self, whole: GlobalBatch) -> None:
        rows = whole[TEXT].detach()
        self.queue[(self.place + torch.arange(len(rows))) % len(self.queue)] = rows
        self.place += len(rows)


class RunsATower(Contrast):
    @override
    def forward(self, whole: GlobalBatch, model: Model) -> Tensor:
        side = torch.zeros(2, 3, 32, 32, dtype=torch.uint8, device=whole[IMAGE].device)
        return super().forward(whole, model) + 0.1 * model.encode_image(Pixels(side)).pooled.mean()


class RunsATowerAfterTheStep(Queue):
    @override
    def after_step(self, whole: GlobalBatch, model: Model) -> None:
        ids = torch.ones(2, 16, dtype=torch.int64, device=self.queue.device)
        model.encode_text(Words(ids, ids > 0))
        super().after_step(whole, model)


class WeightedTwice(Contrast):
    @override
    def finish(self, loss: Tensor) -> Tensor:
        return self.config.weight * loss


class WeightAsDivisor(Contrast):
    @override
    def finish(self, loss: Tensor) -> Tensor:
        return loss / (1 + self.config.weight)


BROKEN: Final[tuple[Broken, ...]] = tuple(
    broken(
        "loss",
        LossConfig,
        {
            "towers": (RunsATower, RunsATowerAfterTheStep),
            "weight": (WeightedTwice, WeightAsDivisor),
            "gradients": (DetachedImages, WrongSign, WrongFactor),
            "bf16": (QueueInBf16, AverageCastWithTheRest),
            "reached": (SpareHead, LearnsNothing),
            "meta": (TargetOnCpu, AsksForAValue),
            "processes": (
                LocalLabels,
                GathersTheWorld,
                GatherWithoutBackward,
                SumOverRanks,
                ZeroIsFalse,
                QueueOfLocalRows,
                BatchNormOverLocalRows,
            ),
        },
    )
)

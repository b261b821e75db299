"""DeCLIP (Li et al. 2022, arXiv:2110.05208): SimSiam between two image views, and nearest-neighbour supervision."""

from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override

from mmx.learn.global_batch import Feature, GlobalBatch
from mmx.learn.model import Model
from mmx.parts.loss import BatchLoss
from toys.clip import SHARED
from toys.towers import WIDTH

IMAGE, TEXT = Feature("image.embed", "first"), Feature("text.embed", "clean")
FIRST, SECOND = Feature("image.pooled", "first"), Feature("image.pooled", "second")


@final
class SimSiam(BatchLoss):
    """SimSiam over the rows of all ranks: its BatchNorm sees the whole batch, so every rank returns the same loss.

    ``everywhere = False`` is the mistake of normalising over one rank's rows.
    """

    image_views = ("first", "second")

    def __init__(self, everywhere: bool = True) -> None:
        super().__init__()
        self.everywhere = everywhere
        self.project = nn.Sequential(nn.Linear(WIDTH, WIDTH, bias=False), nn.BatchNorm1d(WIDTH), nn.Tanh())
        self.predict = nn.Sequential(
            nn.Linear(WIDTH, WIDTH, bias=False), nn.BatchNorm1d(WIDTH), nn.Tanh(), nn.Linear(WIDTH, WIDTH)
        )

    @override
    def features(self) -> tuple[Feature, ...]:
        return (FIRST, SECOND)

    @override
    def forward(self, whole: GlobalBatch, model: Model) -> Float[Tensor, ""]:
        first, second = ((whole.all(pull) if self.everywhere else whole[pull]) for pull in (FIRST, SECOND))
        one, two = self.project(first), self.project(second)
        agreement = F.cosine_similarity(self.predict(one), two.detach()) + F.cosine_similarity(
            self.predict(two), one.detach()
        )
        return -agreement.mean() / 2


@final
class NearestNeighbour(BatchLoss):
    """An image is also pulled to the queued text that is nearest to its own; the queue moves after the step."""

    image_views = ("first",)
    text_views = ("clean",)

    queue: Tensor
    place: Tensor

    def __init__(self, length: int = 48) -> None:
        super().__init__()
        self.register_buffer("queue", F.normalize(torch.randn(length, SHARED), dim=-1))
        self.register_buffer("place", torch.zeros((), dtype=torch.int64))

    @override
    def features(self) -> tuple[Feature, ...]:
        return (IMAGE, TEXT)

    @override
    def forward(self, whole: GlobalBatch, model: Model) -> Float[Tensor, ""]:
        nearest = self.queue[(whole.all(TEXT).detach() @ self.queue.mT).argmax(-1)]
        logits = model.fusion.scale() * model.fusion.similarity(whole[IMAGE], nearest)
        return F.cross_entropy(logits, whole.offset(IMAGE) + torch.arange(logits.shape[0]))

    @override
    def after_step(self, whole: GlobalBatch, model: Model) -> None:
        rows = whole.all(TEXT)
        self.queue[(self.place + torch.arange(rows.shape[0])) % self.queue.shape[0]] = rows
        self.place += rows.shape[0]

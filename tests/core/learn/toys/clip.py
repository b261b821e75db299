"""CLIP (Radford et al. 2021, arXiv:2103.00020): linear projections, and a softmax contrastive loss."""

import math
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override

from mmx.learn.global_batch import Feature, GlobalBatch
from mmx.learn.model import Model
from mmx.parts.batch import Encoded
from mmx.parts.encoder import TextEncoder
from mmx.parts.fusion import Fusion
from mmx.parts.loss import BatchLoss
from toys.towers import WIDTH

SHARED = 6
"""``d``, the shared width."""
GROUP = Feature("fact", "group")


@final
class Projections(nn.Module):
    """What most fusions begin with: a projection of each side to the unit sphere, and a temperature."""

    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Linear(WIDTH, SHARED)
        self.text = nn.Linear(WIDTH, SHARED)
        self.log_scale = nn.Parameter(torch.tensor(math.log(5.0)))

    def clamp(self) -> None:
        """Keep the temperature at or above 0.01."""
        self.log_scale.clamp_(max=math.log(100.0))


@final
class ProjectionFusion(Fusion):
    """Two projections, nothing joint."""

    width = SHARED

    def __init__(self) -> None:
        super().__init__()
        self.project = Projections()

    @override
    def embed_image(self, image: Encoded, reader: TextEncoder) -> Tensor:
        return F.normalize(self.project.image(image.pooled), dim=-1)

    @override
    def embed_text(self, text: Encoded) -> Tensor:
        return F.normalize(self.project.text(text.pooled), dim=-1)

    @override
    def similarity(self, images: Tensor, texts: Tensor) -> Tensor:
        return images @ texts.mT

    @override
    def scale(self) -> Tensor:
        return self.project.log_scale.exp()

    @override
    def clamp(self) -> None:
        self.project.clamp()


@final
class Contrastive(BatchLoss):
    """Softmax cross-entropy of this rank's rows against the rows of all ranks, both ways round.

    With ``grouped``, two rows of one group are not each other's negatives.
    """

    text_views = ("clean",)

    def __init__(self, image_view: str = "clean", grouped: bool = True) -> None:
        super().__init__()
        self.image_views = (image_view,)
        self.image = Feature("image.embed", image_view)
        self.text = Feature("text.embed", "clean")
        self.grouped = grouped

    @override
    def features(self) -> tuple[Feature, ...]:
        return (self.image, self.text, GROUP) if self.grouped else (self.image, self.text)

    @override
    def forward(self, whole: GlobalBatch, model: Model) -> Float[Tensor, ""]:
        images, texts, scale = whole[self.image], whole[self.text], model.fusion.scale()
        target = whole.offset(self.image) + torch.arange(images.shape[0])
        by_image = scale * model.fusion.similarity(images, whole.all(self.text))
        by_text = scale * model.fusion.similarity(whole.all(self.image), texts).mT
        if self.grouped:
            same = whole[GROUP].unsqueeze(1) == whole.all(GROUP)
            same[torch.arange(len(target)), target] = False
            by_image, by_text = by_image.masked_fill(same, -torch.inf), by_text.masked_fill(same, -torch.inf)
        return (F.cross_entropy(by_image, target) + F.cross_entropy(by_text, target)) / 2

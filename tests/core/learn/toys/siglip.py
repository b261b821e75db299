"""SigLIP (Zhai et al. 2023, arXiv:2303.15343): each pair of the global batch is judged alone, by a sigmoid."""

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
from toys.clip import SHARED, Projections

IMAGE, TEXT = Feature("image.embed", "clean"), Feature("text.embed", "clean")


@final
class SigmoidFusion(Fusion):
    """CLIP's projections with a bias, which belongs to the model: it makes a probability of a similarity."""

    width = SHARED

    def __init__(self) -> None:
        super().__init__()
        self.project = Projections()
        self.offset = nn.Parameter(torch.tensor(-2.0))

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
    def bias(self) -> Tensor:
        return self.offset

    @override
    def clamp(self) -> None:
        self.project.clamp()


@final
class Sigmoid(BatchLoss):
    """``-sum over j of log sigmoid(z_ij (scale s_ij + bias))``, its mean over images; z is 1 for the own text, else -1."""

    image_views = ("clean",)
    text_views = ("clean",)

    @override
    def features(self) -> tuple[Feature, ...]:
        return (IMAGE, TEXT)

    @override
    def forward(self, whole: GlobalBatch, model: Model) -> Float[Tensor, ""]:
        fusion, rows = model.fusion, len(whole[IMAGE])
        logits = fusion.scale() * fusion.similarity(whole[IMAGE], whole.all(TEXT)) + fusion.bias()
        sign = -torch.ones_like(logits)
        sign[torch.arange(rows), whole.offset(IMAGE) + torch.arange(rows)] = 1
        return -F.logsigmoid(sign * logits).sum(1).mean()

"""CLOOB (Fürst et al. 2022, arXiv:2110.11316): retrieval from a Hopfield memory of the batch, and InfoLOOB."""

from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from mmx.learn.global_batch import Feature, GlobalBatch
from mmx.learn.model import Model
from mmx.parts.loss import BatchLoss

IMAGE, TEXT = Feature("image.embed", "clean"), Feature("text.embed", "clean")


@final
class Cloob(BatchLoss):
    """Each row of this rank retrieves from the memory of all rows; what all ranks retrieved is then compared."""

    image_views = ("clean",)
    text_views = ("clean",)

    def __init__(self, beta: float = 8.0) -> None:
        super().__init__()
        self.beta = beta

    @override
    def features(self) -> tuple[Feature, ...]:
        return (IMAGE, TEXT)

    @override
    def forward(self, whole: GlobalBatch, model: Model) -> Float[Tensor, ""]:
        images, texts = whole.all(IMAGE), whole.all(TEXT)
        scale, first = model.fusion.scale(), whole.offset(IMAGE)
        image_by_image, image_by_text = self._retrieve(whole[IMAGE], images), self._retrieve(whole[TEXT], images)
        text_by_image, text_by_text = self._retrieve(whole[IMAGE], texts), self._retrieve(whole[TEXT], texts)
        over_images = info_loob(scale * image_by_image @ whole.gather(image_by_text).mT, first)
        over_texts = info_loob(scale * text_by_text @ whole.gather(text_by_image).mT, first)
        return (over_images + over_texts) / scale

    def _retrieve(self, state: Float[Tensor, "b d"], memory: Float[Tensor, "B d"]) -> Float[Tensor, "b d"]:
        return F.normalize((self.beta * state @ memory.mT).softmax(-1) @ memory, dim=-1)


def info_loob(logits: Float[Tensor, "b B"], first: int) -> Float[Tensor, ""]:
    """Return the mean of ``logsumexp`` over the others minus the own pair: the positive is left out below."""
    rows = torch.arange(logits.shape[0])
    own = torch.zeros_like(logits, dtype=torch.bool)
    own[rows, first + rows] = True
    others = logits.masked_fill(own, -torch.inf).logsumexp(-1)
    return (others - logits[rows, first + rows]).mean()

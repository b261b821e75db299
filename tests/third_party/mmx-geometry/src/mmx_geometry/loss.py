"""Alignment and uniformity."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from mmx.errors import RecipeError
from mmx.learn.global_batch import Feature, GlobalBatch
from mmx.learn.model import Model
from mmx.parts.loss import BatchLoss
from mmx.parts.sizes import Sizes
from mmx_geometry.configs import UniformConfig


@final
class Uniform(BatchLoss):
    """Alignment and uniformity of unit vectors (Wang and Isola 2020, arXiv:2005.10242, section 4.2).

    With images x, texts y, B rows over all ranks, t = ``sharpness`` and l = ``uniformity``::

        L = 1/B sum_i |x_i - y_i|^2  +  l/2 (U(x) + U(y))
        U(x) = log [ 1/(B(B-1)) sum_{i != j} exp(-t |x_i - x_j|^2) ]
    """

    def __init__(self, config: UniformConfig, sizes: Sizes) -> None:
        super().__init__()
        self.image_views = (config.image,)
        self.text_views = (config.text,)
        self.image = Feature("image.embed", config.image)
        self.text = Feature("text.embed", config.text)
        self.uniformity = config.uniformity
        self.sharpness = config.sharpness

    @override
    def features(self) -> tuple[Feature, ...]:
        return (self.image, self.text)

    @override
    def forward(self, whole: GlobalBatch, model: Model) -> Float[Tensor, ""]:
        alignment = (whole[self.image] - whole[self.text]).square().sum(dim=1).mean()
        spread = (self._spread(whole, self.image) + self._spread(whole, self.text)) / 2
        return alignment + self.uniformity * spread

    def _spread(self, whole: GlobalBatch, pull: Feature) -> Float[Tensor, ""]:
        """Return U. A logarithm of a sum over ranks is no mean over ranks, so each rank computes all of it."""
        own, every = whole[pull], whole.all(pull)
        if len(every) < 2:
            raise RecipeError("the loss 'uniform' compares rows with each other: data.batch must be 2 or more")
        near = torch.exp(-self.sharpness * (2 - 2 * own @ every.T))
        rows = torch.arange(len(own), device=own.device)
        near = near.index_put((rows, whole.offset(pull) + rows), near.new_zeros(()))
        return (whole.gather(near.sum(dim=1)).sum() / (len(every) * (len(every) - 1))).log()

"""Two linear maps into one space of unit vectors, and a learned temperature (CLIP, arXiv:2103.00020)."""

import math
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from mmx.parts.batch import Encoded
from mmx.parts.encoder import TextEncoder
from mmx.parts.fusion import Fusion
from mmx.parts.sizes import Sizes
from mmx_scaffold.templates.fusion.config import ThisPartConfig


@final
class ThisPart(Fusion):
    """Projects both towers' pooled outputs, and compares them by their cosine.

    With a matrix and a bias for each side, and a learned s::

        x = (V image + v) / |V image + v|      y = (W text + w) / |W text + w|
        similarity = x . y                     logit = exp(s) x . y,  exp(s) = 1 / temperature

    The text tower is an argument of ``embed_image`` for fusions that read text and image together; this one does not.
    """

    def __init__(self, config: ThisPartConfig, sizes: Sizes) -> None:
        super().__init__()
        self.width = config.width
        self.image = nn.Linear(sizes.image_width, config.width)
        self.text = nn.Linear(sizes.text_width, config.width)
        self.logit_scale = nn.Parameter(torch.tensor(-math.log(config.temperature)))

    @override
    def embed_image(self, image: Encoded, reader: TextEncoder) -> Float[Tensor, "b d"]:
        return _unit(self.image(image.pooled))

    @override
    def embed_text(self, text: Encoded) -> Float[Tensor, "b d"]:
        return _unit(self.text(text.pooled))

    @override
    def similarity(self, images: Float[Tensor, "i d"], texts: Float[Tensor, "j d"]) -> Float[Tensor, "i j"]:
        return images @ texts.T

    @override
    def scale(self) -> Float[Tensor, ""]:
        return self.logit_scale.exp()

    @override
    @torch.no_grad()
    def clamp(self) -> None:
        self.logit_scale.clamp_(0.0, math.log(100.0))


def _unit(x: Float[Tensor, "b d"]) -> Float[Tensor, "b d"]:
    # Lengths in half precision are too coarse for similarities that are multiplied by up to 100.
    return functional.normalize(x.to(torch.promote_types(x.dtype, torch.float32)), dim=-1)

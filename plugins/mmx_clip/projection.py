"""CLIP's fusion: two linear maps into a shared space of unit vectors, and a temperature."""

import math
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from mmx.errors import RecipeError
from mmx.parts.batch import Encoded
from mmx.parts.encoder import TextEncoder
from mmx.parts.fusion import Fusion
from mmx.parts.sizes import Sizes
from mmx_clip.configs import ProjectionConfig


@final
class Projection(Fusion):
    """Bias-free projections ``w -> d`` (standard deviation ``w ** -0.5`` at the start) and ``logit_scale``.

    ``logit_scale`` is the logarithm of the factor on similarities. It starts at ``ln(1 / temperature)``, and
    :meth:`clamp` keeps it in ``[0, ln max_scale]``.

    Raises:
        RecipeError: the image is not projected, and the image encoder's width is not the shared width.
    """

    def __init__(self, config: ProjectionConfig, sizes: Sizes) -> None:
        super().__init__()
        if not config.project_image and sizes.image_width != config.width:
            raise RecipeError(
                f"fusion.project_image = false needs an image encoder of fusion.width = {config.width}, "
                f"but the image encoder's output is {sizes.image_width} wide"
            )
        self.width = config.width
        self.most = math.log(config.max_scale)
        self.image = _linear(sizes.image_width, config.width) if config.project_image else nn.Identity()
        self.text = _linear(sizes.text_width, config.width)
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
        self.logit_scale.clamp_(0.0, self.most)


def _linear(inputs: int, outputs: int) -> nn.Linear:
    linear = nn.Linear(inputs, outputs, bias=False)
    nn.init.normal_(linear.weight, std=inputs**-0.5)
    return linear


def _unit(x: Float[Tensor, "b d"]) -> Float[Tensor, "b d"]:
    # Norms of half-precision features are too coarse for a contrastive loss at scale 100.
    return functional.normalize(x.to(torch.promote_types(x.dtype, torch.float32)), dim=-1)

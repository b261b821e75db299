"""A small convolutional tower of ConvNeXt's blocks (arXiv:2201.03545), all at one resolution."""

from typing import final

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from mmx.errors import RecipeError
from mmx.parts.batch import Encoded, Pixels
from mmx.parts.encoder import ImageEncoder
from mmx.parts.sizes import Sizes
from mmx_scaffold.templates.image_encoder.config import ThisPartConfig


@final
class Block(nn.Module):
    """One block: a 3 x 3 convolution of each feature alone, then a small MLP at each place.

    With a depthwise convolution D and layer normalisation N::

        y = x + W2 gelu(W1 N(D x))
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.near = nn.Conv2d(width, width, kernel_size=3, padding=1, groups=width)
        self.norm = nn.LayerNorm(width)
        self.rise = nn.Linear(width, 2 * width)
        self.fall = nn.Linear(2 * width, width)

    @override
    def forward(self, x: Float[Tensor, "b w i j"]) -> Float[Tensor, "b w i j"]:
        mixed = self.norm(self.near(x).movedim(1, -1))
        return x + self.fall(functional.gelu(self.rise(mixed))).movedim(-1, 1)


@final
class ThisPart(ImageEncoder):
    """Cuts the picture into patches, embeds each, and mixes neighbours in every block.

    Tokens are the places of the last map; ``pooled`` is their mean. There is no BatchNorm, so that training in
    micro-batches gives the gradient of the whole batch.

    Raises:
        RecipeError: the image size is not a multiple of the patch.
    """

    def __init__(self, config: ThisPartConfig, sizes: Sizes) -> None:
        super().__init__()
        if sizes.image % config.patch:
            raise RecipeError(
                f"image_encoder.patch = {config.patch} does not divide the image size {sizes.image}; use one that does"
            )
        self.width = config.width
        self.stem = nn.Conv2d(3, config.width, kernel_size=config.patch, stride=config.patch)
        self.layers = nn.Sequential(*(Block(config.width) for _ in range(config.layers)))

    @override
    def forward(self, view: Pixels) -> Encoded:
        if view.hidden is not None:
            raise RecipeError("this image encoder cannot read a view with hidden patches")
        tokens = self.layers(self.stem(view.pixels)).flatten(2).mT
        return Encoded(pooled=tokens.mean(dim=1), tokens=tokens)

    @override
    def blocks(self) -> list[nn.Module]:
        return [self.stem, *self.layers]

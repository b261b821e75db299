"""Random crops, rotations and shifts."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from mmx_images.configs import AugmentConfig
from mmx_images.draws import Draws

_ATTEMPTS = 10


@dataclass(frozen=True)
class Box:
    """A part of a picture, in pixels."""

    top: int
    left: int
    height: int
    width: int

    def of(self, pixels: UInt8[Tensor, "3 h w"]) -> UInt8[Tensor, "3 i j"]:
        """Return the part, without copying it."""
        return pixels[:, self.top : self.top + self.height, self.left : self.left + self.width]


def crop(height: int, width: int, config: AugmentConfig, aspect: float, draws: Draws) -> Box:
    """Return a random box of a picture, or its largest square at a random place.

    The box's area and its ratio (uniform in the logarithm, times ``aspect``) are drawn until it fits; after ten failures
    it is the largest centred box whose ratio is allowed.
    """
    if config.crop == "square":
        side = min(height, width)
        return Box(draws.below(height - side + 1), draws.below(width - side + 1), side, side)
    low, high = (math.log(ratio * aspect) for ratio in config.ratio)
    for _ in range(_ATTEMPTS):
        area = height * width * draws.between(*config.scale)
        ratio = math.exp(draws.between(low, high))
        box_width, box_height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < box_width <= width and 0 < box_height <= height:
            top, left = draws.below(height - box_height + 1), draws.below(width - box_width + 1)
            return Box(top, left, box_height, box_width)
    return _centre(height, width, math.exp(low), math.exp(high))


def _centre(height: int, width: int, low: float, high: float) -> Box:
    box_width = max(1, min(width, round(height * high)))
    box_height = max(1, min(height, round(width / low)))
    return Box((height - box_height) // 2, (width - box_width) // 2, box_height, box_width)


def places(size: int) -> Float[Tensor, "3 n"]:
    """Return x, y and 1 for every pixel of a square, row by row, from -1 to 1 between its edges."""
    line = (2 * torch.arange(size) + 1) / size - 1
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([x, y, torch.ones_like(x)]).flatten(1)


def move(
    pixels: Float[Tensor, "3 s s"], grid: Float[Tensor, "3 n"], config: AugmentConfig, draws: Draws
) -> Float[Tensor, "3 s s"]:
    """Rotate about the centre and shift by random amounts, with bilinear sampling; edges are repeated.

    ``grid`` is :func:`places` of the side.
    """
    angle = math.radians(draws.between(-config.rotation, config.rotation))
    # Places go from -1 to 1, so a share of the side is twice as much.
    right, down = (2 * draws.between(-config.shift, config.shift) for _ in range(2))
    cos, sin = math.cos(angle), math.sin(angle)
    source = torch.mm(torch.tensor([[cos, -sin, -right], [sin, cos, -down]]), grid)
    source = source.view(1, 2, *pixels.shape[1:]).permute(0, 2, 3, 1)
    return functional.grid_sample(pixels[None], source, padding_mode="border", align_corners=False)[0]

"""The random transform for drawings on white: one affine map of places, one linear map of colours."""

import math
from typing import Final, final

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from mmx.data.pixels import pad, pixels_of, stretch
from mmx.parts.transform import ImageTransform, PixelRow, Preprocess
from mmx_images.colour import colours
from mmx_images.configs import WarpConfig
from mmx_images.draws import Draws
from mmx_images.geometry import places

_WHITE: Final = 255.0


@final
class Warp(ImageTransform):
    """Zooms, stretches, turns, shears and shifts in one resampling, and recolours the ink; white stays white.

    With ink k = 255 - x, its place p in the picture, an affine map A, a colour map C and a plane of light g::

        y(p) = 255 - C k(A p) (1 + g . p)

    Sampling is bilinear without antialiasing, so larger pictures are first reduced to twice the model's size.
    """

    def __init__(self, config: WarpConfig, preprocess: Preprocess) -> None:
        self.config = config
        self.size = preprocess.size
        self.places = places(preprocess.size)

    @override
    def __call__(self, source: "Image.Image | PixelRow", draw: torch.Generator) -> PixelRow:
        draws = Draws(draw)
        pixels = pad(pixels_of(source))
        if pixels.shape[1] > 2 * self.size:
            pixels = stretch(pixels, 2 * self.size, 2 * self.size)
        ink = _WHITE - pixels.float()
        grid = torch.mm(self._affine(draws), self.places).view(1, 2, self.size, self.size).permute(0, 2, 3, 1)
        warped = functional.grid_sample(ink[None], grid, align_corners=False)[0].view(3, -1)
        light = torch.mm(self._light(draws), self.places)
        inked = torch.mm(self._colours(draws), warped).mul_(light)
        return PixelRow((_WHITE - inked).round_().clamp_(0, 255).to(torch.uint8).view(3, self.size, self.size))

    def _affine(self, draws: Draws) -> Float[Tensor, "2 3"]:
        """Return the map from a place in the result to its place in the source, both from -1 to 1."""
        config = self.config
        zoom = math.exp(draws.between(*(math.log(value) for value in config.zoom)))
        stretched = math.exp(draws.between(-config.stretch, config.stretch))
        angle = math.radians(draws.between(-config.rotation, config.rotation))
        shear = draws.between(-config.shear, config.shear)
        across, down = 1 / (zoom * stretched), stretched / zoom
        if draws.chance(config.flip):
            across = -across
        cos, sin = math.cos(angle), math.sin(angle)
        right, below = (2 * draws.between(-config.shift, config.shift) for _ in range(2))
        return torch.tensor([[across * cos, across * (shear - sin), right], [down * sin, down * cos, below]])

    def _colours(self, draws: Draws) -> Float[Tensor, "3 3"]:
        """Return the colour map: brightness, saturation and hue, then a tint of each channel."""
        config = self.config
        strength = draws.between(*config.strength)
        saturation = 0.0 if draws.chance(config.grey) else draws.between(*config.saturation)
        matrix = colours(strength, saturation, draws.between(-config.hue, config.hue))
        tints = [math.exp(draws.between(-config.tint, config.tint)) for _ in range(3)]
        return torch.tensor([[tint * cell for cell in row] for tint, row in zip(tints, matrix, strict=True)])

    def _light(self, draws: Draws) -> Float[Tensor, "1 3"]:
        """Return a plane over the picture: 1 in the middle, brighter on one side, in a random direction."""
        slope, angle = draws.between(0.0, self.config.light), draws.between(0.0, 2 * math.pi)
        return torch.tensor([[slope * math.cos(angle), slope * math.sin(angle), 1.0]])

"""Cutout (arXiv:1708.04552): a square at a random place loses what it shows."""

from typing import final

import torch
from PIL import Image
from typing_extensions import override

from mmx.data.pixels import pixels_of, square
from mmx.parts.transform import ImageTransform, PixelRow, Preprocess
from mmx_scaffold.templates.image_transform.config import ThisPartConfig


@final
class ThisPart(ImageTransform):
    """Resizes as the model's preprocessing says, and paints one square over.

    With the model's side S, the square's side is round(S side), and its corner is uniform over all places where the
    square lies within the picture. Its colour is the preprocessing's mean, which normalises to 0.

    ``draw`` is the only source of randomness: it is seeded by run, epoch, sample and view.
    """

    def __init__(self, config: ThisPartConfig, preprocess: Preprocess) -> None:
        self.preprocess = preprocess
        self.side = round(preprocess.size * config.side)
        self.colour = torch.tensor(preprocess.mean).mul(255).round().to(torch.uint8).view(3, 1, 1)

    @override
    def __call__(self, source: "Image.Image | PixelRow", draw: torch.Generator) -> PixelRow:
        pixels = square(pixels_of(source), self.preprocess).clone()
        places = self.preprocess.size - self.side + 1
        top, left = torch.randint(places, (2,), generator=draw).tolist()
        pixels[:, top : top + self.side, left : left + self.side] = self.colour
        return PixelRow(pixels)

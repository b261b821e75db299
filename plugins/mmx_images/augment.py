"""The random transform, for training."""

from typing import final

import torch
from PIL import Image
from typing_extensions import override

from mmx.data.pixels import pad, pixels_of, stretch
from mmx.parts.transform import ImageTransform, PixelRow, Preprocess
from mmx_images.colour import recolour
from mmx_images.configs import AugmentConfig
from mmx_images.draws import Draws
from mmx_images.geometry import crop, move, places


@final
class Augment(ImageTransform):
    """Crops, mirrors, moves and recolours, in this order; whatever is not asked for is not computed."""

    def __init__(self, config: AugmentConfig, preprocess: Preprocess) -> None:
        self.config = config
        self.preprocess = preprocess
        self.places = places(preprocess.size)
        self.moves = config.affine > 0 and (config.rotation > 0 or config.shift > 0)
        amounts = (config.brightness, config.contrast, config.saturation, config.hue)
        self.recolours = config.grey > 0 or (config.jitter > 0 and max(amounts) > 0)

    @override
    def __call__(self, source: "Image.Image | PixelRow", draw: torch.Generator) -> PixelRow:
        draws, size = Draws(draw), self.preprocess.size
        pixels = pixels_of(source)
        aspect = 1.0
        if self.preprocess.resize == "pad":
            pixels = pad(pixels)
        elif self.preprocess.resize == "squash":
            aspect = pixels.shape[2] / pixels.shape[1]
        height, width = pixels.shape[1:]
        pixels = stretch(crop(height, width, self.config, aspect, draws).of(pixels), size, size)
        if self.config.flip > 0 and draws.chance(self.config.flip):
            pixels = pixels.flip(2)
        if not (self.moves or self.recolours):
            return PixelRow(pixels)
        exact = pixels.float()
        if self.moves and draws.chance(self.config.affine):
            exact = move(exact, self.places, self.config, draws)
        if self.recolours:
            exact = recolour(exact, self.config, draws)
        return PixelRow(exact.round().clamp_(0, 255).to(torch.uint8))

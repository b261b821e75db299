"""The deterministic transform, for evaluation and inference."""

from typing import final

import torch
from PIL import Image
from typing_extensions import override

from mmx.data.pixels import pixels_of, square
from mmx.parts.transform import ImageTransform, PixelRow, Preprocess
from mmx_images.configs import EvalConfig


@final
class Eval(ImageTransform):
    """Resizes as the preprocessing says, and draws nothing."""

    def __init__(self, config: EvalConfig, preprocess: Preprocess) -> None:
        self.preprocess = preprocess

    @override
    def __call__(self, source: "Image.Image | PixelRow", draw: torch.Generator) -> PixelRow:
        return PixelRow(square(pixels_of(source), self.preprocess))

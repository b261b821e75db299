"""Generated pictures, and a transform that draws."""

import time
from typing import final

import numpy as np
import torch
from PIL import Image
from typing_extensions import override

from mmx.data.pixels import preprocess
from mmx.errors import DataError
from mmx.parts.dataset import BadSampleError, Dataset, Sample
from mmx.parts.transform import ImageTransform, PixelRow, Preprocess
from mmx_toy.configs import Pictures, Shake

COLOURS = ("red", "green", "blue", "white")


@final
class ToyPictures(Dataset):
    """Noisy pictures of four colours."""

    def __init__(self, config: Pictures) -> None:
        self.config = config

    @override
    def __len__(self) -> int:
        return self.config.samples

    @override
    def key(self, index: int) -> str:
        return f"toy-{index:04}"

    @override
    def read(self, index: int) -> Sample:
        config, key = self.config, self.key(index)
        while config.deaf:
            time.sleep(60)
        if config.seconds:
            time.sleep(config.seconds)
        if config.lost:
            raise DataError("the toy dataset is gone; put it back")
        if index in config.bad:
            raise BadSampleError(f"{key}: is bad on purpose")
        if index in config.wrong:
            raise KeyError("no such thing")
        picture = None if config.blind or config.samples_are == "texts" else _picture(index)
        colour = COLOURS[index % 4]
        texts = () if config.samples_are == "images" else (f"{colour} {index}", f"a {colour}")
        return Sample(key, picture, texts, {"label": index % 4})


def _picture(index: int) -> Image.Image:
    pixels = np.random.default_rng(index).integers(0, 120, (10, 8, 3), dtype=np.uint8)
    pixels[..., [[0], [1], [2], [0, 1, 2]][index % 4]] += 130
    return Image.fromarray(pixels)


@final
class ToyShake(ImageTransform):
    """Rolls the picture and adds noise."""

    def __init__(self, config: Shake, preprocess: Preprocess) -> None:
        self.config, self.preprocess = config, preprocess

    @override
    def __call__(self, source: "Image.Image | PixelRow", draw: torch.Generator) -> PixelRow:
        pixels = source.pixels if isinstance(source, PixelRow) else preprocess(source, self.preprocess)
        if self.config.strength == 0:
            return PixelRow(pixels)
        shift = int(torch.randint(-2, 3, (), generator=draw))
        noise = self.config.strength * 60 * (torch.rand(pixels.shape, generator=draw) - 0.5)
        return PixelRow((pixels.roll(shift, 2) + noise).clamp(0, 255).to(torch.uint8))

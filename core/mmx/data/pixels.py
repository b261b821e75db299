"""Pixels as uint8 tensors, and the three ways to make a picture square."""

from typing import Final

import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor
from torch.nn import functional

from mmx.data.shared import shared, whole
from mmx.errors import RecipeError
from mmx.parts.dataset import BadSampleError
from mmx.parts.transform import PixelRow, Preprocess

_THINNEST: Final = 16
"""Times that a side of a picture is the other, at most, before it is cropped."""

_LARGEST_SQUARE: Final = 64_000_000
"""Pixels of a square that a picture may be padded to, however thin it is."""


def preprocess(picture: Image.Image, how: Preprocess) -> UInt8[Tensor, "3 s s"]:
    """Return a picture as the model wants it; evaluation and inference do this with every picture.

    Raises:
        BadSampleError: the picture has no pixels.
    """
    return square(pixels_of(picture), how)


def pixels_of(source: "Image.Image | PixelRow") -> UInt8[Tensor, "3 h w"]:
    """Return the pixels of an RGB picture, or of the row of another view.

    Raises:
        BadSampleError: the picture has no pixels.
        RecipeError: the other view has hidden patches, which would no longer fit.
    """
    if isinstance(source, PixelRow):
        if source.hidden is not None:
            raise RecipeError("an image view with hidden patches cannot be transformed further; make it the last one")
        return source.pixels
    if 0 in source.size:
        raise BadSampleError("the picture has no pixels")
    rgb = source if source.mode == "RGB" else source.convert("RGB")
    return shared(rgb)


def stretch(pixels: UInt8[Tensor, "3 h w"], height: int, width: int) -> UInt8[Tensor, "3 i j"]:
    """Resize with an antialiased bicubic filter."""
    if pixels.shape[1:] == (height, width):
        return pixels
    # A batch of one in channels-last order takes the fast uint8 path.
    found = functional.interpolate(
        whole(pixels)[None], (height, width), mode="bicubic", antialias=True, align_corners=False
    )
    return found[0, :3]


def square(pixels: UInt8[Tensor, "3 h w"], preprocess: Preprocess) -> UInt8[Tensor, "3 s s"]:
    """Return the pixels as the model wants them: squashed, centre-cropped, or padded with white."""
    size = preprocess.size
    if preprocess.resize == "squash":
        return stretch(pixels, size, size)
    height, width = pixels.shape[1:]
    if preprocess.resize == "crop":
        short = min(height, width)
        # A picture that is thinner than any that shows something would become one of gigabytes on the way.
        reach = _THINNEST * short
        top, left = max(0, height - reach) // 2, max(0, width - reach) // 2
        pixels = pixels[:, top : top + reach, left : left + reach]
        height, width = pixels.shape[1:]
        resized = stretch(pixels, size * height // short, size * width // short)
        top, left = (round((side - size) / 2) for side in resized.shape[1:])  # as torchvision: halves to even
        return resized[:, top : top + size, left : left + size]
    long = max(height, width)
    return pad(stretch(pixels, max(1, round(size * height / long)), max(1, round(size * width / long))))


def pad(pixels: UInt8[Tensor, "3 h w"]) -> UInt8[Tensor, "3 s s"]:
    """Centre the picture on a white square of its longer side.

    Raises:
        BadSampleError: the square would be far larger than the picture, and than memory.
    """
    height, width = pixels.shape[1:]
    if height == width:
        return pixels
    side = max(height, width)
    if side * side > max(_LARGEST_SQUARE, 4 * height * width):
        raise BadSampleError(f"the picture is too thin to be padded to a square: {width} x {height} pixels")
    top, left = (side - height) // 2, (side - width) // 2
    canvas = torch.full((side, side, 3), 255, dtype=torch.uint8).permute(2, 0, 1)
    canvas[:, top : top + height, left : left + width] = pixels
    return canvas

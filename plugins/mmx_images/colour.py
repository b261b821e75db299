"""Random colours: brightness, contrast, saturation, hue and greyscale as one affine map of RGB."""

import math
from typing import Final, cast

import torch
from jaxtyping import Float
from torch import Tensor

from mmx_images.configs import AugmentConfig
from mmx_images.draws import Draws

_LUMA: Final = (0.299, 0.587, 0.114)


def recolour(pixels: Float[Tensor, "3 h w"], config: AugmentConfig, draws: Draws) -> Float[Tensor, "3 h w"]:
    """Change the colours by random amounts; values may leave 0 to 255.

    With brightness b, contrast c, saturation s, hue angle t and luma w, every pixel x becomes::

        y = b c H(t) (s I + (1 - s) 1 w^T) x + b (1 - c) w^T mean(x)

    where H turns RGB about its grey axis: brightness, contrast, saturation and hue, in this order.
    """
    brightness, contrast, saturation, turn = 1.0, 1.0, 1.0, 0.0
    if draws.chance(config.jitter):
        brightness, contrast, saturation = (
            draws.between(1 - amount, 1 + amount) for amount in (config.brightness, config.contrast, config.saturation)
        )
        turn = draws.between(-config.hue, config.hue)
    if draws.chance(config.grey):
        saturation, turn = 0.0, 0.0
    if (brightness, contrast, saturation, turn) == (1.0, 1.0, 1.0, 0.0):
        return pixels
    flat = pixels.reshape(3, -1)
    matrix = torch.tensor(colours(brightness * contrast, saturation, turn))
    if contrast == 1:
        return torch.mm(matrix, flat).view(pixels.shape)
    mean = sum(weight * value for weight, value in zip(_LUMA, _means(flat), strict=True))
    return torch.mm(matrix, flat).add_(brightness * (1 - contrast) * mean).view(pixels.shape)


def _means(flat: Float[Tensor, "3 n"]) -> list[float]:
    return cast(list[float], flat.mean(dim=1).tolist())


def colours(factor: float, saturation: float, turn: float) -> list[list[float]]:
    """Return factor * H(turn) (saturation I + (1 - saturation) 1 w^T); H leaves the grey part as it is."""
    hue = _hue(turn)
    return [
        [factor * (saturation * hue[row][column] + (1 - saturation) * _LUMA[column]) for column in range(3)]
        for row in range(3)
    ]


def _hue(turn: float) -> list[list[float]]:
    """Return the rotation about the axis (1, 1, 1) by a share of the full circle; a third maps red to green."""
    cos, sin = math.cos(2 * math.pi * turn), math.sin(2 * math.pi * turn) / math.sqrt(3)
    rest = (1 - cos) / 3
    same, right, left = cos + rest, rest - sin, rest + sin
    return [[same, right, left], [left, same, right], [right, left, same]]

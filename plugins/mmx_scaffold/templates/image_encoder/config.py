"""Options of the image encoder. This module does not import torch, so that recipes are checked without it."""

from typing import Self

from pydantic import PositiveInt
from typing_extensions import override

from mmx.config import EncoderConfig


class ThisPartConfig(EncoderConfig):
    """Options of the image encoder ``this-part``."""

    patch: PositiveInt = 4
    """Side of a patch in pixels; must divide the image size."""
    width: PositiveInt = 96
    """Features of each token."""
    layers: PositiveInt = 4
    """Number of blocks."""

    @override
    def tiny(self) -> Self:
        """Return two narrow blocks."""
        return self.model_copy(update={"width": 16, "layers": 2})

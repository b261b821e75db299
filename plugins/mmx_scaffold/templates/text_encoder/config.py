"""Options of the text encoder. This module does not import torch, so that recipes are checked without it."""

from typing import Self

from pydantic import PositiveInt
from typing_extensions import override

from mmx.config import EncoderConfig


class ThisPartConfig(EncoderConfig):
    """Options of the text encoder ``this-part``."""

    width: PositiveInt = 128
    """Features of each token."""
    hidden: PositiveInt = 256
    """Width of the hidden layer of the MLP."""

    @override
    def tiny(self) -> Self:
        """Return a narrow tower."""
        return self.model_copy(update={"width": 16, "hidden": 32})

"""Options of the fusion. This module does not import torch, so that recipes are checked without it."""

from typing import Annotated, Self

from pydantic import Field, PositiveInt
from typing_extensions import override

from mmx.config import PartConfig


class ThisPartConfig(PartConfig):
    """Options of the fusion ``this-part``."""

    width: PositiveInt = 128
    """Width of the space that pictures and texts share."""
    temperature: Annotated[float, Field(gt=0.01, le=1)] = 0.07
    """What similarities are divided by at the start; it is learned, and stays within 0.01 and 1."""

    @override
    def tiny(self) -> Self:
        """Return a narrow space."""
        return self.model_copy(update={"width": 16})

"""Options of the optimizer. This module does not import torch, so that recipes are checked without it."""

from typing import Annotated, ClassVar

from pydantic import Field
from typing_extensions import override

from mmx.config import OptimizerConfig


class ThisPartConfig(OptimizerConfig):
    """Options of the optimizer ``this-part``."""

    elementwise: ClassVar[bool] = True  # its step of an element reads nothing else: engines may cut tensors

    eps: Annotated[float, Field(gt=0)] = 1e-10
    """Added to the square root of the sum of squares."""

    @override
    def kept(self) -> int:
        """Return 1: the sum of squares."""
        return 1

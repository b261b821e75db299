"""Options of the filter. This module does not import torch, so that recipes are checked without it."""

from typing import Annotated

from pydantic import Field

from mmx.config import PartConfig


class ThisPartConfig(PartConfig):
    """Options of the filter ``this-part``."""

    most: Annotated[int, Field(gt=0)] = 1
    """How many samples with the same first caption stay: the first ones."""

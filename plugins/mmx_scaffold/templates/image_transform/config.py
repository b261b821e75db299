"""Options of the image transform. This module does not import torch, so that recipes are checked without it."""

from typing import Annotated

from pydantic import Field

from mmx.config import TransformConfig


class ThisPartConfig(TransformConfig):
    """Options of the image transform ``this-part``."""

    side: Annotated[float, Field(ge=0, lt=1)] = 0.25
    """Side of the square that is cut out, as a share of the picture's side."""

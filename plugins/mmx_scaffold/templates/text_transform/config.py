"""Options of the text transform. This module does not import torch, so that recipes are checked without it."""

from typing import Annotated

from pydantic import Field

from mmx.config import TransformConfig


class ThisPartConfig(TransformConfig):
    """Options of the text transform ``this-part``."""

    drop: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Probability of each word to be left out; one word always stays."""

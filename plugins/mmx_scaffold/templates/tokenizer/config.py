"""Options of the tokenizer. This module does not import torch, so that recipes are checked without it."""

from typing import Annotated

from pydantic import Field

from mmx.config import PartConfig


class ThisPartConfig(PartConfig):
    """Options of the tokenizer ``this-part``."""

    context: Annotated[int, Field(ge=3)] = 32
    """Positions of every text, start, end and padding included; longer texts are cut."""

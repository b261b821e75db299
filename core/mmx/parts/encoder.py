"""The contracts of image and text encoders."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Literal

from torch import nn

from mmx.parts.batch import Encoded, Pixels, Words

Mode = Literal["text", "fuse", "decode"]
"""How a text tower reads: text alone, text over an image's tokens, or text predicting its next token."""


class ImageEncoder(nn.Module, ABC):
    """Turns pixels, already normalised, into one vector and, where the tower has them, tokens.

    Built as ``Class(config, sizes)``: ``sizes.image`` is the side of the input.
    """

    width: int
    """``w`` of what it returns."""

    @abstractmethod
    def forward(self, view: Pixels) -> Encoded:
        """Encode normalised pixels ``b 3 h w`` to pooled ``b w`` and tokens ``b n w``."""

    @abstractmethod
    def blocks(self) -> list[nn.Module]:
        """Return the tower's blocks from input to output, for ``train = "last:k"``; together they hold every parameter."""

    if TYPE_CHECKING:
        __call__ = forward


class TextEncoder(nn.Module, ABC):
    """Turns token ids into one vector and tokens; may read an image's tokens as context.

    Built as ``Class(config, sizes)``: ``sizes`` has the vocabulary, the context length and the special ids.
    """

    width: int
    """``w`` of what it returns."""

    @abstractmethod
    def forward(self, words: Words, context: Encoded | None = None, mode: Mode = "text") -> Encoded:
        """Encode ids ``b t`` to pooled ``b w`` and tokens ``b t w``. ``context`` is what a cross-attending tower reads."""

    @abstractmethod
    def blocks(self) -> list[nn.Module]:
        """Return the tower's blocks from input to output, for ``train = "last:k"``; together they hold every parameter."""

    if TYPE_CHECKING:
        __call__ = forward

"""Options of the loss. This module does not import torch, so that recipes are checked without it."""

from mmx.config import LossConfig


class ThisPartConfig(LossConfig):
    """Options of the loss ``this-part``."""

    image: str = "clean"
    """The image view whose embeddings are compared."""
    text: str = "clean"
    """The text view whose embeddings are compared."""
    bias: float = -10.0
    """The bias on every logit at the start; it is learned. Far below 0, since nearly all pairs are wrong ones."""

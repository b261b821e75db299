"""The contract of fusion strategies."""

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor, nn

from mmx.parts.batch import Encoded, Joint, Words
from mmx.parts.encoder import Mode, TextEncoder


class Fusion(nn.Module, ABC):
    """Brings image and text together: into a shared space, and, where it can, into one joint representation.

    The reader (the text tower) is an argument and never a submodule, so that a checkpoint has no key twice.
    Built as ``Class(config, sizes)``: ``sizes`` has both towers' widths.
    """

    width: int
    """``d``, the shared width."""

    @abstractmethod
    def embed_image(self, image: Encoded, reader: TextEncoder) -> Float[Tensor, "b *q d"]:
        """Return unit-length embeddings ``b d``, or ``b q d`` where an image has several."""

    @abstractmethod
    def embed_text(self, text: Encoded) -> Float[Tensor, "b d"]:
        """Return unit-length embeddings."""

    @abstractmethod
    def similarity(self, images: Float[Tensor, "i *q d"], texts: Float[Tensor, "j d"]) -> Float[Tensor, "i j"]:
        """Return the cosine similarity of every image with every text."""

    @abstractmethod
    def scale(self) -> Float[Tensor, ""]:
        """Return the factor that turns similarities into logits, ``exp(logit_scale) = 1 / temperature``."""

    def clamp(self) -> None:
        """Bring parameters back into their allowed range; called after each optimizer step."""

    def join(self, image: Encoded, words: Words, reader: TextEncoder, mode: Mode) -> Joint:
        """Return the joint representation of each image with the text of the same row."""
        raise NotImplementedError(f"the fusion {type(self).__name__} does not join images and texts")

    def match(self, pooled: Float[Tensor, "b w"]) -> Float[Tensor, "b 2"]:
        """Return logits for (no match, match) from a joint representation."""
        raise NotImplementedError(f"the fusion {type(self).__name__} has no matching head")

    def words(self, tokens: Float[Tensor, "b t w"]) -> Float[Tensor, "b t v"]:
        """Return logits over the vocabulary from joint text tokens."""
        raise NotImplementedError(f"the fusion {type(self).__name__} has no language head")

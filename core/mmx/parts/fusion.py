"""The contract of fusion strategies."""

from abc import ABC
from typing import Final, Literal, NoReturn

from jaxtyping import Float
from torch import Tensor, nn

from mmx.errors import NotOfferedError
from mmx.parts.batch import Encoded, Joint, Words
from mmx.parts.encoder import Mode, TextEncoder

Ability = Literal["embed_image", "embed_text", "similarity", "scale", "fuse", "join", "match", "words", "write"]

_ABILITIES: Final[dict[Ability, str]] = {
    "embed_image": "does not embed images in a space that texts share",
    "embed_text": "does not embed texts in a space that images share",
    "similarity": "has no similarity of images and texts",
    "scale": "has no temperature",
    "fuse": "does not fuse images and texts that were encoded alone",
    "join": "does not join images and texts",
    "match": "has no matching head",
    "words": "has no language head",
    "write": "has no language head",
}


class Fusion(nn.Module, ABC):
    """Brings image and text together: into a shared space, into one joint representation, or both.

    A fusion writes the methods that it can offer. The others refuse, and :meth:`offers` tells before that.
    The reader (the text tower) is an argument and never a submodule, so that a checkpoint has no key twice.
    Built as ``Class(config, sizes)``: ``sizes`` has both towers' widths.
    """

    width: int = 0
    """``d``, the shared width; 0 without a shared space."""
    joint_width: int = 0
    """``w`` of its joint representation, which losses find as ``Sizes.joint``; 0 where it has none."""

    @classmethod
    def offers(cls, *abilities: Ability) -> bool:
        """Say whether it has these methods of its own."""
        written = {name for name in _ABILITIES if getattr(cls, name) is not getattr(Fusion, name)}
        written |= {"join"} if "fuse" in written else set[Ability]()
        written |= {"write"} if "words" in written else set[Ability]()
        return written.issuperset(abilities)

    def embed_image(self, image: Encoded, reader: TextEncoder) -> Float[Tensor, "b *q d"]:
        """Return unit-length embeddings ``b d``, or ``b q d`` where an image has several."""
        self._refuse("embed_image")

    def embed_text(self, text: Encoded) -> Float[Tensor, "b d"]:
        """Return unit-length embeddings."""
        self._refuse("embed_text")

    def similarity(self, images: Float[Tensor, "i *q d"], texts: Float[Tensor, "j d"]) -> Float[Tensor, "i j"]:
        """Return the cosine similarity of every image with every text."""
        self._refuse("similarity")

    def scale(self) -> Float[Tensor, ""]:
        """Return the factor that turns similarities into logits, ``exp(logit_scale) = 1 / temperature``."""
        self._refuse("scale")

    def bias(self) -> Float[Tensor, ""] | float:
        """Return what is added to scaled similarities: 0, but for sigmoid losses (Zhai et al. 2023, arXiv:2303.15343).

        ``sigmoid(scale * similarity + bias)`` is then the probability of a pair, and saved with the model.
        """
        return 0.0

    def clamp(self) -> None:
        """Bring parameters back into their allowed range; called after each optimizer step."""

    def fuse(self, image: Encoded, text: Encoded) -> Joint:
        """Return the joint representation of each image with the text of the same row, both encoded alone.

        No tower runs again, so it works wherever the towers stand. Write it where the text is read without the image.
        """
        self._refuse("fuse")

    def join(self, image: Encoded, words: Words, reader: TextEncoder, mode: Mode) -> Joint:
        """Return the joint representation of each image with the text of the same row, which the reader reads for it.

        A fusion with :meth:`fuse` is asked for mode "fuse" there, and has to write this one for "decode" only.
        """
        if mode != "fuse" or not self.offers("fuse"):
            self._refuse("join", f" in mode '{mode}'")
        return self.fuse(image, reader(words))

    def match(self, pooled: Float[Tensor, "b w"]) -> Float[Tensor, "b 2"]:
        """Return logits for (no match, match) from a joint representation."""
        self._refuse("match")

    def words(self, tokens: Float[Tensor, "b t w"]) -> Float[Tensor, "b t v"]:
        """Return logits over the vocabulary from joint text tokens, by a head of the fusion's own."""
        self._refuse("words")

    def write(self, tokens: Float[Tensor, "b t w"], reader: TextEncoder) -> Float[Tensor, "b t v"]:
        """Return logits over the vocabulary from joint text tokens; losses call this one.

        Written where the reader has the head, or the matrix that the head is tied to; else it is :meth:`words`.
        """
        return self.words(tokens)

    def _refuse(self, ability: Ability, how: str = "") -> NoReturn:
        raise NotOfferedError(
            f"the fusion {type(self).__name__} {_ABILITIES[ability]}{how}, which a loss or an evaluator of this recipe "
            f"asks for: take it out, or use a fusion that offers `{ability}`"
        )

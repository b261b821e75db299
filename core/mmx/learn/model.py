"""The model: two towers and a fusion. It loads alone, and is all that inference needs."""

from collections.abc import Iterable
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override

from mmx.parts.batch import Encoded, Joint, Pixels, Words
from mmx.parts.encoder import ImageEncoder, Mode, TextEncoder
from mmx.parts.fusion import Fusion
from mmx.parts.transform import Preprocess


@final
class Model(nn.Module):
    """An image encoder, a text encoder and a fusion strategy. ``encode_image`` needs no text."""

    image_encoder: ImageEncoder
    """The image tower; it takes normalised pixels (:meth:`normalise`)."""
    text_encoder: TextEncoder
    """The text tower: the ``reader`` of the fusion's methods."""
    fusion: Fusion
    """What brings both together, with its heads, scale and bias."""
    mean: Tensor
    std: Tensor
    """Of pixels from 0 to 255, ``1 3 1 1``."""

    def __init__(
        self, image_encoder: ImageEncoder, text_encoder: TextEncoder, fusion: Fusion, preprocess: Preprocess
    ) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        self.text_encoder = text_encoder
        self.fusion = fusion
        self._frozen: list[nn.Module] = []
        for name, values in (("mean", preprocess.mean), ("std", preprocess.std)):
            self.register_buffer(name, 255.0 * torch.tensor(values).view(1, 3, 1, 1), persistent=False)

    def freeze(self, blocks: Iterable[nn.Module]) -> None:
        """Stop training these blocks: no gradient, and evaluation mode (dropout off, BatchNorm statistics fixed)."""
        for block in blocks:
            self._frozen.append(block.requires_grad_(False).eval())

    @override
    def train(self, mode: bool = True) -> "Model":
        """Switch mode; frozen blocks stay in evaluation mode."""
        super().train(mode)
        for block in self._frozen:
            block.eval()
        return self

    def normalise(self, view: Pixels) -> Pixels:
        """Return the view with pixels ``(x / 255 - mean) / std`` in the image encoder's precision."""
        pixels = view.pixels.to(self.mean.dtype).sub(self.mean).div(self.std)
        pixels = pixels.to(next(self.image_encoder.parameters(), pixels).dtype)
        return Pixels(pixels.contiguous(memory_format=torch.channels_last), view.hidden, view.labels)

    def encode_image(self, view: Pixels) -> Encoded:
        """Encode pixels ``b 3 h w`` (0 to 255) to pooled ``b w`` and tokens ``b n w``."""
        return self.image_encoder(self.normalise(view))

    def encode_text(self, words: Words) -> Encoded:
        """Encode ids ``b t`` to pooled ``b w`` and tokens ``b t w``."""
        return self.text_encoder(words)

    def join(self, image: Encoded, words: Words, mode: Mode = "fuse", text: Encoded | None = None) -> Joint:
        """Return the joint representation of each image with the text of the same row.

        Args:
            image: what the image tower made of it.
            words: the text.
            mode: how it is read.
            text: what the text tower made of the words alone, which a fusion with ``fuse`` takes; read here if not given.
        """
        if mode == "fuse" and self.fusion.offers("fuse"):
            return self.fusion.fuse(image, self.encode_text(words) if text is None else text)
        return self.fusion.join(image, words, self.text_encoder, mode)

    def embed_image(self, view: Pixels) -> Float[Tensor, "b *q d"]:
        """Return unit-length image embeddings."""
        return self.fusion.embed_image(self.encode_image(view), self.text_encoder)

    def embed_text(self, words: Words) -> Float[Tensor, "b d"]:
        """Return unit-length text embeddings."""
        return self.fusion.embed_text(self.encode_text(words))

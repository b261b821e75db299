"""Broken fusions: each is the unbroken twin with one method changed."""

import math
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from broken.table import Broken, Twin, broken, twins
from mmx.config import PartConfig
from mmx.parts.batch import Encoded, Joint, Words
from mmx.parts.encoder import Mode, TextEncoder
from mmx.parts.fusion import Fusion
from mmx.parts.sizes import Sizes


class Joining(Fusion):
    """The twin: two projections, and a joint representation read by the text encoder."""

    width = 6

    def __init__(self, config: PartConfig, sizes: Sizes) -> None:
        super().__init__()
        self.image = nn.Linear(sizes.image_width, 6)
        self.text = nn.Linear(sizes.text_width, 6)
        self.heads = nn.Linear(sizes.text_width, 2)
        self.log_scale = nn.Parameter(torch.tensor(math.log(5.0)))

    @override
    def embed_image(self, image: Encoded, reader: TextEncoder) -> Tensor:
        return self.unit(self.image(image.pooled))

    @override
    def embed_text(self, text: Encoded) -> Tensor:
        return self.unit(self.text(text.pooled))

    def unit(self, features: Tensor) -> Tensor:
        return functional.normalize(features, dim=-1)

    @override
    def similarity(self, images: Tensor, texts: Tensor) -> Tensor:
        return images @ texts.mT

    @override
    def scale(self) -> Tensor:
        return self.log_scale.exp()

    @override
    def clamp(self) -> None:
        self.log_scale.clamp_(0.0, math.log(100.0))

    @override
    def join(self, image: Encoded, words: Words, reader: TextEncoder, mode: Mode) -> Joint:
        read = reader(words, image, mode)
        return Joint(read.pooled, text=read.tokens)

    @override
    def match(self, pooled: Tensor) -> Tensor:
        return self.heads(pooled)


class Queries(Joining):
    """A twin with two embeddings an image, whose similarity is that of the better one."""

    @override
    def embed_image(self, image: Encoded, reader: TextEncoder) -> Tensor:
        both = torch.stack([image.pooled, image.pooled.roll(1, -1)], dim=1)
        return self.unit(self.image(both))

    @override
    def similarity(self, images: Tensor, texts: Tensor) -> Tensor:
        return torch.einsum("iqd,jd->ijq", images, texts).amax(-1)


class Turned(Joining):
    @override
    def similarity(self, images: Tensor, texts: Tensor) -> Tensor:
        return texts @ images.mT


class ScaleOfOne(Joining):
    @override
    def scale(self) -> Tensor:
        return self.log_scale.exp().view(1)


class FloatEmbeddings(Joining):
    @override
    def unit(self, features: Tensor) -> Tensor:
        return functional.normalize(features.float(), dim=-1)


class NotNormalised(Joining):
    @override
    def embed_image(self, image: Encoded, reader: TextEncoder) -> Tensor:
        return self.image(image.pooled)


class ScaledSimilarity(Joining):
    @override
    def similarity(self, images: Tensor, texts: Tensor) -> Tensor:
        return self.scale() * images @ texts.mT


class NeverClamped(Joining):
    """NeMo's: the logarithm of the scale may grow without end."""

    @override
    def clamp(self) -> None:
        pass


class ClampsACopy(Joining):
    @override
    def clamp(self) -> None:
        self.log_scale.clamp(0.0, math.log(100.0))


class TemperatureBelowZero(Joining):
    @override
    def scale(self) -> Tensor:
        return self.log_scale * 3

    @override
    def clamp(self) -> None:
        self.log_scale.clamp_(max=100.0)


class KeepsTheReader(Joining):
    @override
    def embed_image(self, image: Encoded, reader: TextEncoder) -> Tensor:
        self.reader = reader
        return super().embed_image(image, reader)


class KeepsAWeightOfTheReader(Joining):
    @override
    def embed_image(self, image: Encoded, reader: TextEncoder) -> Tensor:
        self.table = next(reader.parameters())
        return super().embed_image(image, reader)


class OneWidth(Joining):
    def __init__(self, config: PartConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.image, self.text = nn.Linear(32, 6), nn.Linear(24, 6)


class BothWaysRound(Joining):
    def __init__(self, config: PartConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        narrow = min(sizes.image_width, sizes.text_width)
        self.text = nn.Linear(narrow, 6)


class MinusTheBatch(Joining):
    @override
    def unit(self, features: Tensor) -> Tensor:
        return super().unit(features - features.mean(0))


class NormalisedOverRows(Joining):
    @override
    def similarity(self, images: Tensor, texts: Tensor) -> Tensor:
        return images @ texts.mT + (images @ texts.mT).softmax(0)


class Wavering(Joining):
    @override
    def unit(self, features: Tensor) -> Tensor:
        return super().unit(functional.dropout(features, 0.2, training=True))


class NumpyWeights(Joining):
    def __init__(self, config: PartConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        drawn = np.random.default_rng().normal(size=tuple(self.text.weight.shape)).astype(np.float32)
        self.text.weight.data = torch.from_numpy(drawn)


class ScaleInAttribute(Joining):
    steps = 0

    @override
    def scale(self) -> Tensor:
        return self.log_scale.exp() * (1 + 0.01 * self.steps)

    @override
    def clamp(self) -> None:
        super().clamp()
        self.steps += 1


class DividesInPlace(Joining):
    @override
    def embed_text(self, text: Encoded) -> Tensor:
        return self.unit(self.text(text.pooled.div_(2.0)))


class NothingJoined(Joining):
    @override
    def match(self, pooled: Tensor) -> Any:
        return self.heads(pooled).argmax(-1)


TWINS: Final[tuple[Twin, ...]] = tuple(twins("fusion", PartConfig, Joining, Queries))
BROKEN: Final[tuple[Broken, ...]] = tuple(
    broken(
        "fusion",
        PartConfig,
        {
            "shapes": (Turned, ScaleOfOne, FloatEmbeddings, NothingJoined),
            "cosine": (NotNormalised, ScaledSimilarity),
            "scale": (NeverClamped, ClampsACopy, TemperatureBelowZero),
            "reader": (KeepsTheReader, KeepsAWeightOfTheReader),
            "widths": (OneWidth, BothWaysRound),
            "rows": (MinusTheBatch, NormalisedOverRows),
            "determinism": (Wavering, NumpyWeights),
            "state": (ScaleInAttribute,),
            "inputs": (DividesInPlace,),
        },
    )
)

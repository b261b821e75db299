"""The contracts of transforms: how a sample becomes a row of a view."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Bool, Int, Shaped
from PIL import Image
from torch import Tensor

from mmx.parts.dataset import Fact


@dataclass(frozen=True)
class Preprocess:
    """How the model wants its pixels; saved with the model, so that inference does what training did."""

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    resize: Literal["squash", "crop", "pad"]
    """To a square: by stretching, by the shorter side and a centre crop, or by the longer side and white padding."""


@dataclass(frozen=True)
class PixelRow:
    """One row of an image view, before rows are stacked."""

    pixels: Shaped[Tensor, "3 h w"]
    """uint8."""
    hidden: Bool[Tensor, " n"] | None = None
    labels: Int[Tensor, " n"] | None = None


@dataclass(frozen=True)
class WordRow:
    """One row of a text view, padded to the context length."""

    ids: Int[Tensor, " t"]
    mask: Bool[Tensor, " t"]
    labels: Int[Tensor, " t"] | None = None
    facts: Mapping[str, Fact] = field(default_factory=dict[str, Fact])
    """Facts about the sample that come from how the row was made, such as whether it is the caption of its picture."""


class ImageTransform(ABC):
    """Makes a row of an image view from the decoded picture, or from the row of another view (``of``).

    Built as ``Class(config, preprocess)``. ``draw`` is seeded by run, epoch, sample and view, and is the only
    source of randomness, so that a sample's row does not depend on workers or on resuming.
    """

    @abstractmethod
    def __call__(self, source: "Image.Image | PixelRow", draw: torch.Generator) -> PixelRow:
        """Return the row. Raises BadSampleError where the source cannot be used."""


class TextTransform(ABC):
    """Makes a row of a text view from a sample's captions, or from the row of another view (``of``).

    Built as ``Class(config, tokenizer)``.
    """

    @abstractmethod
    def __call__(self, source: "tuple[str, ...] | WordRow", draw: torch.Generator) -> WordRow:
        """Return the row. Raises BadSampleError where the source cannot be used."""


class PairedTextTransform(TextTransform):
    """A text transform that makes some rows with the captions of a second sample, such as a caption that does not match.

    The reader draws the second sample from the same source, by seed, epoch, key and view, so that it depends on neither
    workers nor ranks. It has no caption in common with the first, and another ``group`` where samples have one. Only
    its captions are read.
    """

    @abstractmethod
    def wants(self, draw: torch.Generator) -> bool:
        """Say, by drawing, whether a row is made with a second sample; where not, the row is what a call returns."""

    @abstractmethod
    def paired(self, source: "tuple[str, ...] | WordRow", second: tuple[str, ...], draw: torch.Generator) -> WordRow:
        """Return the row of a sample, made with the captions of the second. Raises BadSampleError as a call does."""

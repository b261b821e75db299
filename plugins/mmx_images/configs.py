"""Options of the transforms."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeInt, model_validator
from typing_extensions import override

from mmx.config import TransformConfig

Share = Annotated[float, Field(ge=0, le=1)]
Strength = Annotated[float, Field(ge=0, lt=1)]
Range = Annotated[tuple[float, float], Field(strict=False)]


class EvalConfig(TransformConfig):
    """Options of the image transform ``eval``: none, since the model's preprocessing has them."""


class AugmentConfig(TransformConfig):
    """Options of the image transform ``augment``. All but the crop is off unless it is asked for."""

    crop: Literal["box", "square"] = "box"
    """What is cropped: a "box" that the two keys below allow, or the largest "square", at a random place, as CLIP did."""
    scale: Range = (0.9, 1.0)
    """Smallest and largest share of the picture's area in a box."""
    ratio: Range = (0.75, 4 / 3)
    """Smallest and largest width of a box divided by its height, before it is stretched to a square.
    Where the model's preprocessing squashes pictures, relative to the picture's own."""
    flip: Share = 0.0
    """Probability of mirroring left and right."""
    affine: Share = 1.0
    """Probability of rotating and shifting, by amounts that the two keys below allow."""
    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    """Rotate by up to this many degrees either way; edges are repeated."""
    shift: Strength = 0.0
    """Shift by up to this share of the side, in both directions; edges are repeated."""
    jitter: Share = 1.0
    """Probability of changing the colours, by amounts that the four keys below allow."""
    brightness: Strength = 0.0
    """Multiply all colours by a factor within 1 - x and 1 + x."""
    contrast: Strength = 0.0
    """Multiply the distance from the picture's mean grey by a factor within 1 - x and 1 + x."""
    saturation: Strength = 0.0
    """Multiply the distance from each pixel's own grey by a factor within 1 - x and 1 + x."""
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Turn colours about the grey axis by up to this share of the full circle either way."""
    grey: Share = 0.0
    """Probability of a greyscale picture."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not 0 < self.scale[0] <= self.scale[1] <= 1:
            raise ValueError(f"scale = {list(self.scale)}: expected two shares above 0 and up to 1, the smaller first")
        if not 0 < self.ratio[0] <= self.ratio[1]:
            raise ValueError(f"ratio = {list(self.ratio)}: expected two numbers above 0, the smaller first")
        return self


class WarpConfig(TransformConfig):
    """Options of the image transform ``warp``: for drawings on white, none of them much larger than the model's input."""

    zoom: Range = (0.85, 1.15)
    """Smallest and largest factor on the drawing's size."""
    stretch: Annotated[float, Field(ge=0, le=1)] = 0.08
    """Largest logarithm of the factor by which it is made wider and lower, or the other way about."""
    rotation: Annotated[float, Field(ge=0, le=180)] = 8.0
    """Rotate by up to this many degrees either way."""
    shear: Strength = 0.06
    """Lean by up to this share of the height either way."""
    shift: Strength = 0.04
    """Shift by up to this share of the side, in both directions."""
    flip: Share = 0.0
    """Probability of mirroring left and right."""
    strength: Range = (0.6, 1.3)
    """Smallest and largest factor on the ink, its distance from white."""
    saturation: Range = (0.4, 1.5)
    """Smallest and largest factor on the distance from each pixel's own grey."""
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.04
    """Turn colours about the grey axis by up to this share of the full circle either way."""
    tint: Annotated[float, Field(ge=0, le=1)] = 0.12
    """Largest logarithm of a factor on the ink of each channel by itself."""
    light: Annotated[float, Field(ge=0, lt=0.7)] = 0.25
    """Largest slope of a plane of light over the picture, from its middle to its edge."""
    grey: Share = 0.05
    """Probability of a greyscale picture."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for name in ("zoom", "strength", "saturation"):
            low, high = getattr(self, name)
            if not 0 <= low <= high or (name == "zoom" and low == 0):
                raise ValueError(f"{name} = {[low, high]}: expected two factors, the smaller first")
        return self


class CaptionConfig(TransformConfig):
    """Options of the text transform ``caption``."""

    pick: Literal["random", "first"] = "random"
    """Which of a sample's captions: one drawn anew each time, or always the first."""
    templates: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Sentences to put the caption into, at ``{}``; one is drawn each time. None leaves it as it is."""

    @model_validator(mode="after")
    def _have_a_place(self) -> Self:
        for template in self.templates:
            if "{}" not in template:
                raise ValueError(f"the template {template!r} has no {{}} for the caption")
        return self


class MismatchedConfig(CaptionConfig):
    """Options of the text transform ``mismatched``: those of ``caption``, and how often the caption is another sample's."""

    share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Probability of a caption of another sample of the same source."""
    fact: Annotated[str, Field(min_length=1)] = "matched"
    """Name of the fact that says which it is: 1 where the caption is the sample's own, 0 where it is another one's."""

    @model_validator(mode="after")
    def _reads_captions(self) -> Self:
        if self.of is not None:
            raise ValueError("reads the sample's captions; take 'of' out of its table")
        return self


class MlmConfig(TransformConfig):
    """Options of the text transform ``mlm`` (BERT, arXiv:1810.04805, section 3.1). Needs ``of``, the view it masks."""

    mask: NonNegativeInt | None = None
    """The id that stands for a hidden word; the tokenizer's own if not given."""
    share: Annotated[float, Field(gt=0, lt=1)] = 0.15
    """Probability of each word piece to be predicted. Start, end and padding never are."""
    masked: Share = 0.8
    """Share of the predicted ones that become the mask id."""
    random: Share = 0.1
    """Share of the predicted ones that become another id at random; the rest stay as they are."""

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if self.of is None:
            raise ValueError('needs of = "VIEW", the text view that it masks')
        if self.masked + self.random > 1:
            raise ValueError(f"masked + random = {self.masked + self.random:.4g}, more than 1")
        return self

    @override
    @classmethod
    def example(cls, name: str, folder: Path) -> Self:
        """Return options that mask every second word of a view, with an id that is in any vocabulary."""
        return cls(name=name, of="clean", mask=1, share=0.5)

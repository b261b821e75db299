"""Options of the parts. Imports no torch, so that recipes are checked without it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveFloat

from mmx.config import EvaluatorConfig, LossConfig, PartConfig, Slot


class UniformConfig(LossConfig):
    """Options of the loss ``uniform``."""

    image: str = "clean"
    """The image view."""
    text: str = "clean"
    """The text view."""
    uniformity: Annotated[float, Field(ge=0)] = 1.0
    """The factor on uniformity; alignment has 1."""
    sharpness: PositiveFloat = 2.0
    """How fast two points stop repelling each other with their squared distance."""


class ModalityGapConfig(EvaluatorConfig):
    """Options of the evaluator ``modality_gap``."""

    batch: Annotated[int, Field(gt=0)] = 64
    """Samples that are embedded at once."""
    centre: Annotated[PartConfig, Slot("centre")] | None = None
    """What the centre of images and of texts is; their mean if not given."""


class MedianConfig(PartConfig):
    """Options of the centre ``median``."""

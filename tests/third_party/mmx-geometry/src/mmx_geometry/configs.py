"""Options of the parts. Imports no torch, so that recipes are checked without it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, PositiveFloat, PositiveInt
from typing_extensions import override

from mmx.config import EvaluatorConfig, LossConfig, OptimizerConfig, PartConfig, ScheduleConfig, Slot, WeightsConfig
from mmx.models.files import glance

DESCRIPTION: Final = "geometry.json"
"""The file that a model folder of this package's format is known by."""
TABLES: Final = ("image_encoder", "text_encoder", "fusion", "tokenizer", "preprocess")


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


class NormalisedConfig(OptimizerConfig):
    """Options of the optimizer ``normalised``. The norm is that of a whole tensor, so that engines may not cut it."""

    eps: PositiveFloat = 1e-12
    """Added to the norm of each gradient."""

    @override
    def kept(self) -> int:
        """Return 0: it keeps nothing."""
        return 0


class StairsConfig(ScheduleConfig):
    """Options of the schedule ``stairs``."""

    every: PositiveInt = 1000
    """Steps of one stair."""
    factor: Annotated[float, Field(gt=0, le=1)] = 0.5
    """The rate of a stair as a share of the one before."""


class GeometryFormatConfig(WeightsConfig):
    """Options of the format ``geometry``: none."""

    @classmethod
    def recognises(cls, folder: Path) -> bool:
        """Say whether a folder is of this format."""
        return set(TABLES) <= set(glance(folder, DESCRIPTION))

    def small(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the tables of a small model, which the conformance kit writes and reads."""
        return {
            "image_encoder": {"name": "vit", "patch": 8, "width": 16, "layers": 1, "heads": 2},
            "text_encoder": {"name": "transformer", "width": 8, "layers": 1, "heads": 1},
            "fusion": {"name": "projection", "width": 8},
            "tokenizer": {"name": "clip", "context": 8, "merges": 0},
            "preprocess": {"size": 16, "resize": "squash"},
        }

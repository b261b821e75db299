"""Options of zero-shot classification."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from mmx.config import EvaluatorConfig


class ZeroShotConfig(EvaluatorConfig):
    """Zero-shot classification of a labelled dataset."""

    unmeasured: ClassVar[frozenset[str]] = EvaluatorConfig.unmeasured | {"batch", "pictures"}

    batch: Annotated[int, Field(gt=0)] = 256
    """Pictures or prompts encoded at once, at most."""
    names: list[str] | None = None
    """Class names in the order of the labels; those of the dataset if not given."""
    templates: list[str] | None = None
    """Prompts with {} for the name; those of the dataset if not given."""
    pictures: Annotated[int, Field(ge=0)] = 24
    """Pictures shown in each grid of the report."""

"""Options of the evaluator. This module does not import torch, so that recipes are checked without it."""

from typing import Annotated, ClassVar

from pydantic import Field, PositiveInt

from mmx.config import EvaluatorConfig


class ThisPartConfig(EvaluatorConfig):
    """Options of the evaluator ``this-part``."""

    unmeasured: ClassVar[frozenset[str]] = EvaluatorConfig.unmeasured | {"batch"}

    at: Annotated[tuple[PositiveInt, ...], Field(strict=False, min_length=1)] = (1, 5, 10)
    """The numbers k of results that are looked at."""
    batch: PositiveInt = 256
    """Pairs encoded at once, at most."""

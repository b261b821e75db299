"""Options of the tracker. This module does not import torch, so that recipes are checked without it."""

from typing import Annotated

from pydantic import Field

from mmx.config import TrackerConfig


class ThisPartConfig(TrackerConfig):
    """Options of the tracker ``this-part``."""

    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")] = "steps.csv"
    """Name of the table in the run folder."""

"""Options of the terminal tracker. Torch-free."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from mmx.config import TrackerConfig


class TerminalConfig(TrackerConfig):
    """What is written to the terminal while a run goes on."""

    speaks: ClassVar[bool] = True

    every: Annotated[int, Field(ge=1)] = 50
    """Steps between two lines where the output is not a terminal (a file, a pipe, a batch job)."""
    bar: bool = True
    """Draw a progress bar where the output is a terminal; with false, lines are written there too."""

"""Options of the schedule. This module does not import torch, so that recipes are checked without it."""

from mmx.config import ScheduleConfig


class ThisPartConfig(ScheduleConfig):
    """Options of the schedule ``this-part``."""

    power: float = 0.5
    """How fast the rate falls: 0.5 halves it when there have been four times as many steps."""

"""Options of the report tracker. Torch-free."""

from __future__ import annotations

from mmx.config import TrackerConfig


class ReportConfig(TrackerConfig):
    """The HTML report of a run."""

    live: bool = True
    """Write the report at each evaluation too, not only at the end of the run."""

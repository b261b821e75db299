"""The report tracker: it writes the report from what lies in the run folder, at each evaluation and at the end."""

from __future__ import annotations

from typing import final

from mmx.parts.events import Run
from mmx.parts.tracker import Tracker
from mmx.plugin.hookspecs import hookimpl
from mmx_report.config import ReportConfig
from mmx_report.page import write_report


@final
class ReportTracker(Tracker):
    """Writes ``report.html`` into the run folder."""

    def __init__(self, config: ReportConfig) -> None:
        self.config = config

    @hookimpl
    def mmx_evaluation_end(self, run: Run) -> None:
        """Write the report as it stands."""
        if self.config.live:
            write_report(run.folder)

    @hookimpl
    def mmx_run_end(self, run: Run) -> None:
        """Write the report of the whole run."""
        write_report(run.folder)

    def close(self) -> None:
        """Nothing is held back."""

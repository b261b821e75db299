"""The HTML report of a run. Registers the tracker "report"."""

from __future__ import annotations

from mmx.plugin.hookspecs import hookimpl
from mmx.plugin.registry import Registrar
from mmx_report.config import ReportConfig


@hookimpl
def mmx_register(register: Registrar) -> None:
    """Register the tracker."""
    register(
        "tracker",
        "report",
        config=ReportConfig,
        part="mmx_report.tracker:ReportTracker",
        summary="one HTML file in the run folder that opens offline: curves, numbers, pictures, recipe",
    )

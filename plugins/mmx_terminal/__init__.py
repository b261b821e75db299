"""What a user sees of a run in the terminal. Registers the tracker "terminal"."""

from __future__ import annotations

from mmx.plugin.hookspecs import hookimpl
from mmx.plugin.registry import Registrar
from mmx_terminal.config import TerminalConfig


@hookimpl
def mmx_register(register: Registrar) -> None:
    """Register the tracker."""
    register(
        "tracker",
        "terminal",
        config=TerminalConfig,
        part="mmx_terminal.tracker:TerminalTracker",
        summary="a progress bar, or plain lines in a pipe, and a summary at the end",
    )

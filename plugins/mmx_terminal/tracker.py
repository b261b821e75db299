"""The terminal tracker: everything goes to standard error, so that standard output stays for scripts."""

from __future__ import annotations

from typing import final

from rich.console import Console

from mmx.parts.evaluator import Result
from mmx.parts.events import Outcome, Run, Step
from mmx.parts.tracker import Tracker
from mmx.plugin.hookspecs import hookimpl
from mmx.wording import printable
from mmx_terminal.config import TerminalConfig
from mmx_terminal.display import Bar, Display, Lines
from mmx_terminal.summary import result_line, write_failure, write_summary
from mmx_terminal.watch import Watch


@final
class TerminalTracker(Tracker):
    """Shows a run: a bar on a terminal, lines in a pipe, one line an evaluation, a summary at the end."""

    def __init__(self, config: TerminalConfig, console: Console | None = None) -> None:
        self.config = config
        self.console = console or Console(stderr=True, highlight=False)
        self.display: Display | None = None
        self.watch: Watch | None = None
        self.results: dict[str, Result] = {}

    @hookimpl
    def mmx_run_start(self, run: Run) -> None:
        """Say where the run begins, and show the bar."""
        self.watch = Watch(run)
        lines = not (self.config.bar and self.console.is_interactive)
        self.display = Lines(self.console, run, self.config.every) if lines else Bar(self.console, run)
        if run.start:
            self.display.say(f"{printable(run.name)}: resumed after step {run.start:,} of {run.steps:,}")

    @hookimpl
    def mmx_step_end(self, step: Step) -> None:
        """Show the step, and any warning that is due."""
        if self.display is None or self.watch is None:
            return
        self.display.show(step)
        for warning in self.watch.look(step):
            self.display.say(f"warning: {printable(warning)}", style="yellow")

    @hookimpl
    def mmx_evaluation_end(self, step: int, results: dict[str, Result]) -> None:
        """Write one line for each evaluator."""
        self.results.update(results)
        for name, result in results.items():
            if self.display is not None:
                self.display.say(result_line(step, name, result))

    @hookimpl(trylast=True)
    def mmx_run_end(self, run: Run, outcome: Outcome) -> None:
        """Write the summary, after the trackers that write files."""
        self.close()
        if outcome.status == "failed":
            write_failure(self.console, run, outcome)
            return
        write_summary(self.console, run, outcome, self.results)

    def close(self) -> None:
        """Give the terminal back."""
        if self.display is not None:
            self.display.close()

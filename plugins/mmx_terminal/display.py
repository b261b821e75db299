"""The two ways to show a run that goes on: a bar on a terminal, lines everywhere else."""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from collections import deque
from typing import Final, final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Column
from rich.text import Text

from mmx.parts.events import Run, Step
from mmx.wording import clock

REDRAW: Final = 0.1
"""Seconds between two drawings of the bar."""
MUCH: Final = 0.05
"""Share of waiting from which the slowest stage is named."""
SHORTEST: Final = 11
"""Columns that are kept for the bar itself and the gaps around it."""


class Display(ABC):
    """Shows the steps of one run on a console."""

    def __init__(self, console: Console, run: Run) -> None:
        self.console = console
        self.run = run

    @abstractmethod
    def show(self, step: Step) -> None:
        """Show one step."""

    @abstractmethod
    def close(self) -> None:
        """Leave the console as it was found; may be called twice."""

    def say(self, text: str, style: str = "") -> None:
        """Write text as it is, never read as markup; broken between words on a terminal, one line elsewhere."""
        self.console.print(Text(text, style=style), soft_wrap=not self.console.is_interactive)


def waiting(step: Step) -> str:
    """Return the share of the time that training waited for data, and for which stage where that is much."""
    return f"data {step.waited:.0%}" + (f" ({step.slowest})" if step.slowest and step.waited >= MUCH else "")


@final
class Lines(Display):
    """One line every so many steps. The fields keep the names that log readers of CLIP training know."""

    def __init__(self, console: Console, run: Run, every: int) -> None:
        super().__init__(console, run)
        self.every = every
        self.losses: list[float] = []
        self.shown = run.start

    def show(self, step: Step) -> None:
        """Write a line for the first step, the last, and every ``every`` steps."""
        self.losses.append(step.loss)
        due = step.step // self.every > self.shown // self.every
        if due or self.shown == self.run.start or step.step == self.run.steps:
            self.say(self.line(step))
            self.losses.clear()
            self.shown = step.step

    def line(self, step: Step) -> str:
        """Return the line for a step; the loss in brackets is the mean since the last line."""
        mean = sum(self.losses) / len(self.losses)
        skipped = f" skipped {step.skipped}" if step.skipped else ""
        scale = "" if step.scale is None else f"Logit Scale: {step.scale:.2f} "
        return (
            f"step {step.step}/{self.run.steps} ({step.step / max(1, self.run.steps):.0%}) epoch {step.epoch:.2f} "
            f"Loss: {step.loss:.4f} ({mean:.4f}) {step.images_per_second:.0f}/s LR: {step.lr:.6f} "
            f"{scale}{waiting(step)} left {clock(step.left)}{skipped}"
        )

    def close(self) -> None:
        """Nothing is held open."""


@final
class Bar(Display):
    """A progress bar that fits in 80 columns. It draws only when told to: no thread, so workers fork safely."""

    def __init__(self, console: Console, run: Run) -> None:
        super().__init__(console, run)
        self.recent: deque[float] = deque(maxlen=5)
        self.drawn = 0.0
        # The bar alone has a ratio, so it gets what the others leave.
        columns = (
            MofNCompleteColumn(table_column=Column(no_wrap=True)),
            BarColumn(bar_width=None, table_column=Column(ratio=1)),
            TextColumn("{task.fields[facts]}", markup=False, table_column=Column(no_wrap=True)),
        )
        self.progress = Progress(
            *columns, console=console, expand=True, auto_refresh=False, redirect_stdout=sys.stdout.isatty()
        )
        self.task = self.progress.add_task(
            "", total=run.steps, completed=run.start, facts="waiting for the first batch"
        )
        self.progress.start()
        self.progress.refresh()

    def show(self, step: Step) -> None:
        """Move the bar; drawn a few times a second at most."""
        self.recent.append(step.loss)
        self.progress.update(self.task, completed=step.step, facts=self.facts(step))
        now = time.monotonic()
        if now - self.drawn >= REDRAW or step.step >= self.run.steps:
            self.progress.refresh()
            self.drawn = now

    def facts(self, step: Step) -> str:
        """Return what stands beside the bar; on a narrow terminal what matters least is left out."""
        rate, epoch = f"{step.images_per_second:.0f} img/s", f"epoch {step.epoch:.1f}"
        shown = [f"loss {sum(self.recent) / len(self.recent):.3f}", rate, waiting(step), epoch]
        shown.append(f"{clock(step.left)} left")
        room = self.console.width - 2 * len(str(self.run.steps)) - SHORTEST
        for least in (epoch, rate):
            if len("  ".join(shown)) > room:
                shown.remove(least)
        return "  ".join(shown)

    def close(self) -> None:
        """Stop drawing; the bar stays where it was."""
        self.progress.stop()

"""How far a command is: a bar on a terminal, a line now and then everywhere else; always on stderr."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Final, Self, final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column
from typing_extensions import override

from mmx_data import progress

_REDRAW: Final = 0.1
"""Seconds between two drawings of the bar."""
_LINE: Final = 10.0
"""Seconds between two lines."""


@final
class Shown(progress.Progress):
    """Shows what is done: ``with Shown() as progress``. It draws only when told to: no thread, so processes fork safely."""

    def __init__(self, quiet: bool = False) -> None:
        self._console = Console(stderr=True, quiet=quiet)
        self._title, self._total, self._done, self._drawn = "", 0, 0, 0.0
        self._started, self._before = 0.0, 0
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            MofNCompleteColumn(table_column=Column(no_wrap=True)),
            BarColumn(bar_width=None, table_column=Column(ratio=1)),
            TextColumn("{task.fields[rate]}", markup=False, table_column=Column(no_wrap=True)),
            TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True)),
            console=self._console,
            expand=True,
            auto_refresh=False,
            transient=True,
        )
        self._task = self._bar.add_task("", total=0, rate="", visible=False)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:  # elsewhere it would leave an empty line
            self._bar.stop()

    @override
    def start(self, title: str, total: int, done: int = 0) -> None:
        self._title, self._total, self._done, self._before = title, total, done, done
        self._started = self._drawn = time.monotonic()
        self._bar.reset(self._task, total=total, completed=done, description=title, visible=True, rate="")

    @override
    def tick(self, samples: int) -> None:
        self._done += samples
        now = time.monotonic()
        if now - self._drawn < (_REDRAW if self._console.is_terminal else _LINE) and self._done < self._total:
            return
        rate = f"{(self._done - self._before) / max(1e-9, now - self._started):,.0f}/s"
        if self._console.is_terminal:
            self._bar.update(self._task, completed=self._done, rate=rate)
            self._bar.refresh()
        elif now - self._drawn >= _LINE:
            self._console.print(f"{self._title} {self._done:,} of {self._total:,} ({rate})", highlight=False)
        self._drawn = now

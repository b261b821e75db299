"""A table of steps in the run folder, for spreadsheets and plots."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Final, final

from typing_extensions import override

import mmx
from mmx.parts.events import Run, Step
from mmx.parts.tracker import Tracker
from mmx_scaffold.templates.tracker.config import ThisPartConfig

COLUMNS: Final = ("step", "epoch", "loss", "lr", "images_per_second")


@final
class ThisPart(Tracker):
    """Writes one row of CSV for each step that is reported (``train.log_every``).

    A tracker implements the hooks that it wants, with those of their arguments that it needs. It sees what happens and
    changes nothing; if a hook fails, the run says so once and goes on.
    """

    def __init__(self, config: ThisPartConfig) -> None:
        self.config = config

    @mmx.hookimpl
    def mmx_run_start(self, run: Run) -> None:
        """Begin the table; a run that was resumed keeps its rows up to where it goes on."""
        path = run.folder / self.config.file
        rows = _read(path) if run.start else []
        _write(path, [COLUMNS, *(row for row in rows if int(row[0]) <= run.start)], "w")

    @mmx.hookimpl
    def mmx_step_end(self, run: Run, step: Step) -> None:
        """Add a row. The file is closed again each time, so that nothing is lost when the run is killed."""
        _write(run.folder / self.config.file, [[str(getattr(step, column)) for column in COLUMNS]], "a")

    @override
    def close(self) -> None:
        """Nothing is held back."""


def _read(path: Path) -> list[list[str]]:
    """Return the rows below the header, complete ones only."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.reader(file) if len(row) == len(COLUMNS) and row[0].isdigit()]


def _write(path: Path, rows: Sequence[Sequence[str]], mode: str) -> None:
    with path.open(mode, newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)

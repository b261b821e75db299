"""A tracker that keeps its contract, and variations of it that do not."""

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

from typing_extensions import override

from broken.table import Broken, Twin
from mmx.config import TrackerConfig
from mmx.parts.events import Outcome, Run, Step
from mmx.parts.tracker import Tracker
from mmx.plugin.hookspecs import hookimpl


class NotesConfig(TrackerConfig):
    notes_file: str = "notes.txt"
    """The file in the run folder that notes are written to."""


class Notes(Tracker):
    """The twin: writes a line for each step into the run folder."""

    def __init__(self, config: NotesConfig) -> None:
        self.config = config
        self.run: Run | None = None
        self.lines: list[str] = []

    @hookimpl
    def mmx_run_start(self, run: Run) -> None:
        self.run = run
        self.started()

    @hookimpl
    def mmx_step_end(self, step: Step) -> None:
        self.lines.append(self.line(step))

    @hookimpl
    def mmx_run_end(self, outcome: Outcome) -> None:
        self.lines.append(self.last(outcome))

    def started(self) -> None:
        """Take note of the run."""

    def line(self, step: Step) -> str:
        return f"{step.step} {step.loss:.3f}"

    def last(self, outcome: Outcome) -> str:
        return f"{outcome.status} {outcome.reason}"

    @override
    def close(self) -> None:
        if self.run is not None:
            (self.run.folder / self.config.notes_file).write_text("\n".join(self.lines))


class Misspelt(Notes):
    @hookimpl
    def mmx_step_ended(self, step: Step) -> None:
        self.lines.append(str(step.step))


class Unmarked(Notes):
    def mmx_evaluation_end(self, step: int) -> None:
        self.lines.append(f"evaluated at {step}")


class OtherArguments(Notes):
    @hookimpl
    def mmx_evaluation_end(self, metrics: object) -> None:
        self.lines.append(str(metrics))


class WholeNumbers(Notes):
    """Cannot write a loss that is not a number."""

    @override
    def line(self, step: Step) -> str:
        return f"{step.step} {round(step.loss)}"


class ChangesRecipe(Notes):
    @override
    def started(self) -> None:
        assert self.run is not None
        recipe: Any = self.run.recipe
        recipe["tracked"] = True


class Prints(Notes):
    @override
    def line(self, step: Step) -> str:
        print(step.loss)
        return super().line(step)


class TellsEnvironment(Notes):
    @override
    def started(self) -> None:
        self.lines.append(json.dumps(dict(os.environ)))


class FromOne(Notes):
    """Takes it that a run starts with step 1."""

    @override
    def line(self, step: Step) -> str:
        assert self.lines or step.step == 1
        return super().line(step)


class FinishedAlone(Notes):
    @override
    def last(self, outcome: Outcome) -> str:
        return {"finished": "done", "stopped": "stopped"}[outcome.status]


class ClosesOnce(Notes):
    @override
    def close(self) -> None:
        super().close()
        self.lines.remove(self.lines[-1] if self.lines else "")


class NeedsRun(Notes):
    @override
    def close(self) -> None:
        assert self.run is not None
        super().close()


class LeavesThread(Notes):
    @override
    def started(self) -> None:
        threading.Thread(target=threading.Event().wait, daemon=True).start()


class LeavesProcess(Notes):
    started_here: list[subprocess.Popen[bytes]] = []  # noqa: RUF012

    @override
    def started(self) -> None:
        self.started_here.append(subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"]))


class TakesSignals(Notes):
    @override
    def started(self) -> None:
        signal.signal(signal.SIGTERM, lambda number, frame: self.close())


class TakesErrors(Notes):
    def __init__(self, config: NotesConfig) -> None:
        super().__init__(config)
        sys.excepthook = lambda kind, error, trace: self.close()


def _broken(check: str, *parts: type[Notes]) -> Iterator[Broken]:
    return (Broken("tracker", part.__name__, f"{__name__}:{part.__name__}", NotesConfig, check) for part in parts)


TRACKER = Twin("tracker", "Notes", f"{__name__}:Notes", NotesConfig)
TRACKERS = tuple(
    itertools.chain(
        _broken("hooks", Misspelt, Unmarked, OtherArguments),
        _broken("a run", WholeNumbers, ChangesRecipe, Prints, TellsEnvironment),
        _broken("a failed run", FromOne, FinishedAlone),
        _broken("close", ClosesOnce, NeedsRun),
        _broken("nothing left", LeavesThread, LeavesProcess),
        _broken("global state", TakesSignals, TakesErrors),
    )
)

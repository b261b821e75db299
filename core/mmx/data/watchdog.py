"""Ends a data worker that is waited for and does not come on: one that is stopped, or hangs in a disk."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Event, Thread
from typing import Final, final

from mmx.data.views import Reader
from mmx.errors import DataError
from mmx.pulse import NOTHING, Pulse

_LOOKS: Final = 20
"""How often it looks within the time that a worker has."""
_RARELY: Final = 1.0
"""Seconds between two looks, at most."""
_STATES: Final = {"T": " It is stopped.", "D": " It waits for a disk or a file system."}


@final
class Watchdog:
    """Looks at the worker that is waited for, from a thread: whoever waits may be held up in torch or in the kernel.

    The loader then fails for a worker that was killed; ``error`` says why.
    """

    def __init__(self, reader: Reader, pulse: Pulse, limit: float) -> None:
        self._reader, self._pulse, self._limit = reader, pulse, limit
        self._workers: Sequence[BaseProcess] = ()
        self._steps = 0
        self._waiting = False
        self._over = Event()
        self.error: DataError | None = None
        """Why a worker was ended."""

    @contextmanager
    def over(self, workers: Sequence[BaseProcess]) -> Generator[None]:
        """Watch over workers, which take turns with the steps."""
        self._workers = workers
        if workers:
            Thread(target=self._look, name="mmx watchdog", daemon=True).start()
        try:
            yield
        finally:
            self._over.set()

    @contextmanager
    def waiting(self) -> Generator[None]:
        """Wait for the next step."""
        self._waiting = True
        try:
            yield
            self._steps += 1
        finally:
            self._waiting = False

    def _look(self) -> None:
        seen, passed, before = (-1, -1), 0.0, time.monotonic()
        pause = min(_RARELY, self._limit / _LOOKS)
        while not self._over.wait(pause):
            turn = self._steps % len(self._workers)
            now, at = (self._steps, self._pulse.of(turn)), time.monotonic()
            # What is longer than a pause was this process's own stop, such as by Ctrl-Z.
            passed = passed + min(at - before, 2 * pause) if self._waiting and now == seen else 0.0
            seen, before = now, at
            if passed >= self._limit:
                self.error = self._why(turn)
                self._workers[turn].kill()
                return

    def _why(self, turn: int) -> DataError:
        worker, sample = self._workers[turn], self._pulse.sample(turn)
        what = "" if sample == NOTHING else f" It was reading the sample {self._reader.dataset.key(sample)}."
        return DataError(
            f"the data worker {turn} (process {worker.pid}) did not come on for {self._limit:g} s, so it was ended."
            f"{_state(worker.pid)}{what} Look whether the disk or network folder that holds the data answers, then resume "
            "the run; where reading one sample takes longer, raise data.worker_timeout"
        )


def _state(process: int | None) -> str:
    with suppress(OSError, IndexError):
        status = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
        return _STATES.get(status.rpartition(")")[2].split()[0], "")
    return ""

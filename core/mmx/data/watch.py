"""Waiting for data workers that may die, hang or be stopped."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Thread
from typing import Final, Generic, TypeVar, final

from mmx.data.heartbeat import NOTHING, Heartbeat
from mmx.data.steps import StepReader
from mmx.errors import DataError, MmxError

_Read = TypeVar("_Read")
"""What a step gives."""
_LOOK: Final = 0.2
"""Seconds after which it is looked whether workers live, and whether a signal came."""
_DYING: Final = 2.0
"""Seconds in which a worker whose connection broke should be gone."""
_HANGS: Final = (
    "Look whether the disk or network folder that holds the data answers; where reading one sample takes longer, raise "
    "data.worker_timeout"
)
_STATES: Final = {
    "T": "It was stopped from outside: look what sends it signals",
    "D": f"It waited for a disk or a file system. {_HANGS}",
}
"""What to do, by the state of the process."""


@final
class Watch(Generic[_Read]):
    """Takes steps from torch's loader.

    The loader waits without an end for a worker that is stopped, or that was killed while it sent something. So it is asked
    in a thread, which may be left behind, and whoever waits here looks after the workers meanwhile.
    """

    def __init__(
        self,
        steps: Iterator[_Read | MmxError],
        workers: Sequence[BaseProcess],
        reader: StepReader[_Read],
        heartbeat: Heartbeat,
        limit: float,
    ) -> None:
        self._steps, self._workers, self._reader, self._pulse, self._limit = steps, workers, reader, heartbeat, limit
        self._turn = 0
        """The worker that has the next step: they take turns."""

    def next(self) -> _Read | MmxError:
        """Return the next step, or an error for users.

        Raises:
            DataError: a worker died, or the one that has this step made no progress within the limit.
        """
        if not self._workers:
            return next(self._steps)
        found = Future["_Read | MmxError"]()
        Thread(target=self._ask, args=(found,), name="mmx loader", daemon=True).start()
        self._wait(found)
        try:
            step = found.result()
        except (OSError, EOFError, RuntimeError):
            self._refuse_dead(_DYING)
            raise
        self._turn = (self._turn + 1) % len(self._workers)
        return step

    def _ask(self, found: Future[_Read | MmxError]) -> None:
        try:
            found.set_result(next(self._steps))
        except BaseException as error:
            found.set_exception(error)

    def _wait(self, found: Future[_Read | MmxError]) -> None:
        seen, passed, before = -1, 0.0, time.monotonic()
        while not wait((found,), timeout=_LOOK).done:
            self._refuse_dead(0.0)
            beats, now = self._pulse.of(self._turn), time.monotonic()
            # What is longer than a look was this process's own stop, such as by Ctrl-Z.
            passed = passed + min(now - before, 2 * _LOOK) if beats == seen else 0.0
            seen, before = beats, now
            if passed >= self._limit:
                raise self._stall()

    def _refuse_dead(self, seconds: float) -> None:
        """Raise an error if a worker is dead, or is so within some seconds."""
        ends = {worker.sentinel: worker for worker in self._workers}
        for end in connection.wait(list(ends), seconds):
            if isinstance(end, int):
                worker = ends[end]
                worker.join(_DYING)
                raise died(f"process {worker.pid}, {_how(worker.exitcode)}")

    def _stall(self) -> DataError:
        worker, sample = self._workers[self._turn], self._pulse.sample(self._turn)
        what = "" if sample == NOTHING else f" It was reading the sample {self._reader.dataset.key(sample)}."
        return DataError(
            f"the data worker {self._turn} (process {worker.pid}) made no progress for {self._limit:g} s, so it was ended."
            f"{what} {_STATES.get(_state(worker.pid), _HANGS)}, then resume the run"
        )


def died(what: str) -> DataError:
    """Return an error for a worker that is dead."""
    return DataError(
        f"a data worker ended by itself ({what}). The most common reason is that memory ran out, or shared memory "
        "(/dev/shm; containers have 64 MB of it if not told otherwise): lower data.workers or data.batch, or raise the "
        "limit, then resume the run"
    )


def _how(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit code {code}"
    return f"killed by {signal.Signals(-code).name}"


def _state(process: int | None) -> str:
    """Return the letter of a process's state, where the system tells it."""
    with suppress(OSError, IndexError):
        status = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
        return status.rpartition(")")[2].split()[0]
    return ""

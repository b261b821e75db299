"""The processes that layouts run in: one pool for each number of them, which serves all layouts of that number."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import threading
from collections.abc import Generator
from types import TracebackType
from typing import Final, Self, final

from mmx_kit.check import BrokenError
from mmx_kit.ranks import Ranks
from mmx_verify.measure import Outcome, Refusal, Task, measure

PATIENCE: Final = 600.0
"""Seconds that a layout may take: four processes on two busy cores import an engine for minutes."""


@final
class Pools:
    """Starts processes when they are first needed; all of them end with the context."""

    def __init__(self) -> None:
        self._pools: dict[int, Ranks] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for pool in self._pools.values():
            pool.stop()

    def measure(self, task: Task, processes: int) -> Outcome | Refusal:
        """Take the steps of a task on a number of processes.

        Raises:
            BrokenError: they failed; the message has a traceback. The next task has new processes.
        """
        if processes not in self._pools:
            self._pools[processes] = _started(processes)
        try:
            answers = self._pools[processes](_quietly, task)
        except BrokenError:
            del self._pools[processes]
            raise
        refused = [answer for answer in answers if isinstance(answer, Refusal)]
        main = [answer for answer in answers if isinstance(answer, Outcome)]
        if not refused and len(main) != 1:
            raise BrokenError(
                f"{len(main)} of {processes} processes say that they are the main one, not 1 (Engine.main)"
            )
        return (refused or main)[0]


def _started(processes: int) -> Ranks:
    pool = Ranks(count=processes, patience=PATIENCE)
    with _unheard():
        pool.start()
    return pool


@contextlib.contextmanager
def _unheard() -> Generator[None]:
    """Let processes that start here ignore Ctrl-C, which a terminal sends to each: the one that started them ends them."""
    if threading.current_thread() is not threading.main_thread():  # no other may change it, nor is any other told of it
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _quietly(task: Task) -> Outcome | Refusal | None:
    """Measure without what others log and print, such as packages that an engine imports; stdout may be a document."""
    logging.disable(logging.ERROR)
    with contextlib.redirect_stdout(sys.stderr):
        return measure(task)

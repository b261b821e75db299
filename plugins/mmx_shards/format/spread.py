"""One task for each shard, on all cores."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeVar

from mmx.errors import DataError
from mmx.launch.exit_with_parent import exit_with_parent

Done = TypeVar("Done")
_held: dict[str, Any] = {}
"""What a process of the pool works with: what it was sent, and what that is once it is opened."""


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def each(work: Callable[[int], Done], shards: int, workers: int) -> Generator[Done]:
    """Yield what comes of every shard, in order. With one worker or shard everything is done in this process.

    The work is sent to each process once. Where the generator is closed or fails, its processes end at once.

    Raises:
        DataError: a process ended by itself, or what the work raises.
    """
    workers = min(workers, shards)
    if workers <= 1:
        yield from map(work, range(shards))
        return
    # Not forked: threads that read URLs would be lost on the way.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, _start, (pickle.dumps(work),))
    try:
        # Not by map, which cancels what is left where it is ended: the pool's thread fails on that with a traceback.
        with _silence():
            waiting = deque(pool.submit(_do, shard) for shard in range(workers))
        waiting.extend(pool.submit(_do, shard) for shard in range(workers, shards))
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise DataError(
            "a process that read shards ended by itself. The most common reason is that memory ran out: "
            "try again with fewer of them, such as --workers 1"
        ) from None
    finally:
        # They only read, or write aside: one that waits for data must not keep the command from ending.
        for process in list((getattr(pool, "_processes", None) or {}).values()):
            process.kill()
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _silence() -> Generator[None]:
    """Hold back Ctrl-C, also from processes that start meanwhile: before ``follow`` they would show a traceback each."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(sent: bytes) -> None:
    """Set up a process of the pool."""
    exit_with_parent()
    _held["sent"] = sent


def _do(shard: int) -> Any:
    if "work" not in _held:  # opened by a task, whose errors are passed on: those of the start are not
        _held["work"] = pickle.loads(_held["sent"])
    return _held["work"](shard)

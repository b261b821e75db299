"""One task for each shard, on all cores."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Final, TypeVar

from mmx.errors import DataError

Done = TypeVar("Done")
_POLL: Final = 0.5
"""Seconds between two looks for the parent."""


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


def each(work: Callable[[int], Done], shards: int, workers: int) -> Iterator[Done]:
    """Yield what comes of every shard, in order. With one worker or shard everything is done in this process.

    Raises:
        DataError: a process ended by itself, or what the work raises.
    """
    workers = min(workers, shards)
    if workers <= 1:
        yield from map(work, range(shards))
        return
    # Not forked: threads that read URLs would be lost on the way.
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _start, (os.getpid(),))
    try:
        yield from pool.map(work, range(shards))
    except BrokenProcessPool:
        raise DataError(
            "a process that read shards ended by itself. The most common reason is that memory ran out: "
            "try again with fewer of them, such as --workers 1"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start(parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    """End this process when the one that started it is gone, however it went."""
    while os.getppid() == parent:
        time.sleep(_POLL)
    os._exit(1)

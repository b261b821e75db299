"""One task for each shard, on all cores."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from typing import TypeVar

from mmx.errors import DataError

Done = TypeVar("Done")


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), follow)
    try:
        yield from pool.map(work, range(shards))
    except BrokenProcessPool:
        raise DataError(
            "a process that read shards ended by itself. The most common reason is that memory ran out: "
            "try again with fewer of them, such as --workers 1"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def follow() -> None:
    """Let this process of a pool end when the one that started it is gone, however it went, and leave Ctrl-C to that."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)

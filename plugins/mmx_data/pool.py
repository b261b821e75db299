"""Tasks on a dataset, on all cores: processes that read, each with its own copy, and end with the one that started them."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.sharedctypes import Synchronized
from typing import Any, Final, TypeVar, cast

from mmx.data.stored import StoredDataset
from mmx.errors import DataError
from mmx.launch.exit_with_parent import exit_with_parent
from mmx.plugin.files import Carried

Task = TypeVar("Task")
Done = TypeVar("Done")
Tick = Callable[[int], None]
"""Is told of samples that are done."""
Work = Callable[[StoredDataset, Task, Tick], Done]

_POLL: Final = 0.2
"""Seconds between two looks at how far the processes are."""
_PRELOADED: Final = ["mmx.data.stored", "mmx_data.shard", "webdataset.writer"]
"""What takes long to import, and is so once for all processes."""
_held: dict[str, Any] = {}
"""What a process of the pool works with."""


def each(
    dataset: StoredDataset,
    work: Work[Task, Done],
    tasks: Sequence[Task],
    workers: int,
    tick: Tick,
    alone: float = 0.0,
) -> Iterator[tuple[int, Done]]:
    """Do every task; yield its place in ``tasks`` and what came of it, as they are done.

    With one worker, or one task, everything is done in this process.

    Args:
        dataset: is sent to each process.
        work: does a task on it; a function of a module.
        tasks: what there is to do.
        workers: processes.
        tick: is told of samples that are done.
        alone: seconds for which this process works by itself, so that little work need not wait for processes to start.

    Raises:
        DataError: a process ended by itself, or what the work raises.
    """
    before, first = time.monotonic(), 0
    while first < len(tasks) and (min(workers, len(tasks) - first) <= 1 or time.monotonic() - before < alone):
        yield first, work(dataset, tasks[first], tick)
        first += 1
    if first == len(tasks):
        return
    # Not forked from this process: its threads, such as those that read URLs, would be lost on the way.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    done = context.Value("q", 0)
    pool = ProcessPoolExecutor(min(workers, len(tasks) - first), context, _start, (Carried(), dataset, work, done))
    try:
        for place, found in _gathered(pool, tasks[first:], 2 * workers, lambda seen: _told(tick, seen, done.value)):
            yield first + place, found
    except BrokenProcessPool:
        raise DataError(
            "a process that read the data ended by itself. The most common reason is that memory ran out: "
            "try again with fewer of them, such as --workers 1"
        ) from None
    finally:
        # They only read, or write aside: one that waits for data must not keep the command from ending.
        for process in list((getattr(pool, "_processes", None) or {}).values()):
            process.kill()
        pool.shutdown(wait=True, cancel_futures=True)


def _told(tick: Tick, seen: int, now: int) -> int:
    if now > seen:
        tick(now - seen)
    return now


def _gathered(
    pool: ProcessPoolExecutor, tasks: Sequence[Any], most: int, tell: Callable[[int], int]
) -> Iterator[tuple[int, Any]]:
    """Hand out tasks, a bounded number at a time, and yield what comes of them."""
    waiting, running, seen = iter(enumerate(tasks)), dict[Future[Any], int](), 0
    while True:
        while len(running) < most and (following := next(waiting, None)) is not None:
            running[pool.submit(_do, following[1])] = following[0]
        if not running:
            return
        ready, _ = wait(running, timeout=_POLL, return_when=FIRST_COMPLETED)
        seen = tell(seen)
        for future in sorted(ready, key=lambda future: running[future]):
            yield running.pop(future), future.result()


def _start(carried: Carried, dataset: StoredDataset, work: Work[Any, Any], done: Synchronized[int]) -> None:
    """Set up a process of the pool."""
    exit_with_parent()
    _held.update(dataset=dataset, work=work, done=done)


def _do(task: Any) -> Any:
    return _held["work"](_held["dataset"], task, _count)


def _count(samples: int) -> None:
    done = cast("Synchronized[int]", _held["done"])
    with done.get_lock():
        done.value += samples

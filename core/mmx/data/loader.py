"""Data workers."""

import ctypes
import math
import multiprocessing
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.process import BaseProcess
from multiprocessing.queues import Queue
from types import TracebackType
from typing import Any, Final, Generic, TypeVar, cast, final

import torch
from torch._C import _remove_worker_pids
from torch.utils.data import DataLoader

from mmx.data.heartbeat import Heartbeat, show
from mmx.data.order import Asked
from mmx.data.steps import Asks, StepReader
from mmx.data.watch import Watch, died
from mmx.errors import DataError, MmxError
from mmx.launch.exit_with_parent import exit_with_parent
from mmx.plugin.files import Carried

_Read = TypeVar("_Read")
_MMAP_THRESHOLD: Final = -3
_TRIM_THRESHOLD: Final = -1
"""Their numbers in glibc's malloc.h."""
_LARGE: Final = 4 << 20
"""Bytes: a decoded picture of 1,000 pixels squared, or a batch."""
_SPARE: Final = 64 << 20
"""Bytes that stay at the end of the heap: each picture would take new pages otherwise."""
_DEATH: Final = "DataLoader worker (pid"
"""How the loader's error for a worker that is dead begins."""
_LONGEST: Final = 71
"""Bytes of that path: macOS allows 103 for a socket's, and multiprocessing adds 32."""
_REQUESTS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


def stream(
    reader: StepReader[_Read],
    order: Asks,
    start: int,
    steps: int,
    workers: int,
    pin: bool,
    rank: int = 0,
    ranks: int = 1,
    timeout: float = math.inf,
) -> Generator[_Read, None, None]:
    """Yield the samples of steps ``start`` to ``steps``, excluded, in order, whatever the number of workers.

    With several ranks, each has its equal part of every step. A worker that needs more than ``timeout`` seconds for one
    sample is ended.

    The loader draws its base seed from a generator of its own: the global one must not move when a run resumes.
    Close it to end its workers at once, also one that hangs in a read.

    Raises:
        DataError: workers cannot be started, or the folder for temporary files has a path that is too long for them to
            send what they read; one took too long.
    """
    if workers and len(os.fsencode(tempfile.gettempdir())) > _LONGEST:
        raise DataError(
            f"data.workers = {workers}: the path of the folder for temporary files, {tempfile.gettempdir()}, has more than "
            f"{_LONGEST} bytes, too many for the sockets that data workers have in it; set TMPDIR to a shorter one"
        )
    heartbeat = Heartbeat(workers)
    loader: DataLoader[Any] = DataLoader(
        cast("Any", _Steps(Carried(), reader)),
        batch_sampler=cast("Any", _Plan(order, start, steps, rank, ranks, max(1, workers))),
        num_workers=workers,
        collate_fn=cast("Any", _as_read),
        generator=torch.Generator().manual_seed(0),
        pin_memory=pin,
        worker_init_fn=partial(_set_up, heartbeat) if workers else None,
    )
    # Held back until the workers ignore them: a signal must not meet one that is half made.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _REQUESTS)
    try:
        with _all_or_none(workers):
            steps_read = iter(loader)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    try:
        _hush(steps_read)
        watch = Watch(steps_read, getattr(steps_read, "_workers", ()), reader, heartbeat, timeout)
        for _ in range(start, steps):
            found = watch.next()
            if isinstance(found, MmxError):
                raise found
            yield found
    finally:
        _end(steps_read)


@contextmanager
def _all_or_none(workers: int) -> Generator[None]:
    """End the workers that were started where not all of them can be: they ignore signals, and would keep the process."""
    before = multiprocessing.active_children()
    try:
        yield
    except (OSError, RuntimeError) as error:
        _kill([child for child in multiprocessing.active_children() if child not in before])
        if not workers:
            raise
        _drop(error)
        if str(error).startswith(_DEATH):
            raise died(str(error).splitlines()[0].strip()) from error
        raise DataError(
            f"data.workers = {workers}: they cannot be started ({type(error).__name__}: {error}); lower it, or raise the "
            "limits of open files and processes (ulimit -n, ulimit -u)"
        ) from error


def _hush(steps: Any) -> None:
    """Take workers from the loader's signal handler: for one that dies it raises, at any line of the main process."""
    if getattr(steps, "_worker_pids_set", False):
        _remove_worker_pids(id(steps))
        steps._worker_pids_set = False


def _end(steps: Any) -> None:
    """Kill a loader's workers: they only read, and one that waits for data would keep the process from ending.

    The loader's own end is left out where it did not come first: it waits for locks that a killed worker may hold.
    """
    workers = getattr(steps, "_workers", ())
    if workers and not steps._shutdown:
        steps._shutdown = True
        if hasattr(steps, "_pin_memory_thread_done_event"):
            steps._pin_memory_thread_done_event.set()
        for queue in steps._index_queues:
            queue.cancel_join_thread()
            queue.close()
    _kill(workers)


def _kill(workers: Sequence[BaseProcess]) -> None:
    for worker in workers:
        worker.kill()
    for worker in workers:
        worker.join()


def _drop(error: Exception) -> None:
    """Let go of the half-made iterator that an error holds: torch's own way to end it fails, and would be printed."""
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    traceback.clear_frames(error.__traceback__)
    sys.unraisablehook = hook


@final
@dataclass(frozen=True)
class _Steps(Generic[_Read]):
    """Reads whole steps. The loader would bury an error in a traceback, so one for users comes back as a value."""

    files: Carried
    """Sent first: what follows may be defined in a plugin file."""
    reader: StepReader[_Read]

    def __getitems__(self, asked: Asked) -> _Read | MmxError:
        try:
            return self.reader.step(asked)
        except MmxError as error:
            return error


def _as_read(step: object) -> object:
    return step


@final
@dataclass(frozen=True)
class _Plan:
    order: Asks
    start: int
    steps: int
    rank: int
    ranks: int
    ahead: int
    """As many steps as there are workers: they take turns, so that is the next one of the same worker."""

    def __iter__(self) -> Iterator[Any]:
        return self.order.asked(self.start, self.steps, self.rank, self.ranks, self.ahead)

    def __len__(self) -> int:
        return self.steps - self.start


def _set_up(heartbeat: Heartbeat, worker: int) -> None:
    """Leave signals to the main process: it saves and then ends its workers.

    Where it stops while a tensor is handed over, the worker's thread for that would print a traceback by ``excepthook``.
    """
    show(heartbeat, worker)
    _keep_heap_small()
    exit_with_parent()
    cast("Any", Queue)._on_queue_feeder_error = staticmethod(_unsent)
    sys.excepthook = _say_nothing
    for number in _REQUESTS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _REQUESTS)


def _unsent(error: Exception, step: object) -> None:
    """End a worker that cannot hand over what it read, such as where shared memory is full: it would be waited for."""
    os._exit(1)


def _keep_heap_small() -> None:
    """Give large blocks back to the system when they are freed.

    glibc raises the size from which it does so with each that is freed; then batches and pictures lie on the heap among
    what stays, and it grows to twice what is in use.
    """
    fix = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc has it, other C libraries do not
    if fix is not None:
        fix(_MMAP_THRESHOLD, _LARGE)
        fix(_TRIM_THRESHOLD, _SPARE)


def _say_nothing(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Take no notice of an error."""

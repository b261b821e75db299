"""Gloo processes that live as long as the checks and run one task after another.

A task is a function that all import by name; what it returns must be picklable (numpy arrays, not tensors).
"""

import multiprocessing
import os
import shutil
import sys
import tempfile
import traceback
import warnings
import weakref
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar, final

import torch
import torch.distributed as dist

from mmx.plugin.files import Carried
from mmx_kit.check import BrokenError

P = ParamSpec("P")
R = TypeVar("R")

RANKS: Final = 2
"""How many there are if nothing else is said."""
PATIENCE: Final = 120.0
"""Seconds that a task, or the start of the processes, may take."""


@final
class Ranks:
    """The processes; started at the first call, and again after a failure left them out of step.

    They end with ``stop``, or when nothing refers to them any more.

    Args:
        strict: make warnings errors in them.
        count: how many.
        patience: seconds that a task, or the start of the processes, may take.
    """

    def __init__(self, strict: bool = False, count: int = RANKS, patience: float = PATIENCE) -> None:
        self.count = count
        self._patience = patience
        self._strict = strict
        self._processes: list[SpawnProcess] = []
        self._pipes: list[Any] = []
        self._end: weakref.finalize[..., Ranks] | None = None

    def __call__(self, task: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> list[R]:
        """Run a task on all ranks and return what each returned, in rank order.

        Raises:
            BrokenError: the task fails or hangs on a rank; the message has that rank's traceback.
        """
        # Pickled before anything is sent: what cannot be must not leave one rank waiting for the rest.
        files, call = ForkingPickler.dumps(Carried()), ForkingPickler.dumps((task, args, kwargs))
        if not self._processes:
            self.start()
        for pipe in self._pipes:
            pipe.send_bytes(files)
            pipe.send_bytes(call)
        found: dict[int, R] = {}
        while len(found) < self.count:
            rank, done, answer = self._answer(set(range(self.count)) - set(found))
            if not done:  # the other rank may wait for this one for ever
                self.stop()
                raise BrokenError(f"rank {rank} of {self.count} failed in {task.__name__}:\n{answer}")
            found[rank] = answer
        return [found[rank] for rank in range(self.count)]

    def _answer(self, ranks: set[int]) -> tuple[int, bool, Any]:
        """Return the rank that answers first, whether it is done, and its answer or error."""
        ready = wait([self._pipes[rank] for rank in ranks], self._patience)
        if not ready:
            return min(ranks), False, f"no answer within {self._patience:.0f} s"
        rank = self._pipes.index(ready[0])
        try:
            done, answer = self._pipes[rank].recv()
        except (EOFError, OSError):
            return rank, False, "its process ended"
        return rank, done, answer

    def start(self) -> None:
        """Start the processes; they import and connect while the caller goes on."""
        context = multiprocessing.get_context("spawn")
        folder = Path(tempfile.mkdtemp(prefix="mmx-ranks-"))
        self._processes, self._pipes = [], []
        self._end = weakref.finalize(self, _end, self._processes, self._pipes, folder)
        for rank in range(self.count):
            mine, theirs = context.Pipe()
            job = (rank, self.count, folder / "store", theirs, self._strict, self._patience)
            process = context.Process(target=_serve, args=job, daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(mine)
            self._processes.append(process)

    def stop(self) -> None:
        """End the processes."""
        if self._end is not None:
            self._end()
        self._processes, self._pipes = [], []


def _end(processes: list[SpawnProcess], pipes: list[Any], folder: Path) -> None:
    for process, pipe in zip(processes, pipes, strict=True):
        pipe.close()
        process.terminate()
        process.join()
    shutil.rmtree(folder, ignore_errors=True)


def _serve(rank: int, count: int, store: Path, pipe: Connection, strict: bool, seconds: float) -> None:
    warnings.simplefilter("error" if strict else "ignore")
    torch.set_num_threads(1)
    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    patience = timedelta(seconds=seconds)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=count, timeout=patience)
    while True:
        try:
            pipe.send((True, _run(pipe)))
        except EOFError:
            return
        except Exception:
            pipe.send((False, traceback.format_exc()))


def _run(pipe: Connection) -> object:
    """Receive the plugin files and a task that may need them, and run it."""
    pipe.recv()
    task, args, kwargs = pipe.recv()
    return task(*args, **kwargs)

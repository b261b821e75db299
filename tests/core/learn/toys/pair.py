"""Two gloo processes that live as long as the tests and run one task after another.

A task is a function that both import by name; what it returns must be picklable (numpy arrays, not tensors).
"""

import multiprocessing
import os
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, final

import torch
import torch.distributed as dist

P = ParamSpec("P")
R = TypeVar("R")

RANKS = 2
PATIENCE = 120.0
"""Seconds that a task, or the start of the processes, may take."""


@final
class Pair:
    """The two processes; started at the first call, and again after a failure left them out of step."""

    def __init__(self) -> None:
        self._processes: list[SpawnProcess] = []
        self._pipes: list[Any] = []

    def __call__(self, task: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> list[R]:
        """Run a task on both ranks and return what each returned, in rank order."""
        if not self._processes:
            self.start()
        for pipe in self._pipes:
            pipe.send((task, args, kwargs))
        answers: list[tuple[bool, Any]] = [
            pipe.recv() if pipe.poll(PATIENCE) else (False, "no answer") for pipe in self._pipes
        ]
        done = [done for done, _ in answers]
        if not all(done):
            rank = done.index(False)
            self.stop()
            raise AssertionError(f"rank {rank} failed in {task.__name__}:\n{answers[rank][1]}")
        return [answer for _, answer in answers]

    def start(self) -> None:
        """Start the processes; they import and connect while the caller goes on."""
        context = multiprocessing.get_context("spawn")
        store = Path(tempfile.mkdtemp()) / "store"
        for rank in range(RANKS):
            mine, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(rank, str(store), theirs), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(mine)
            self._processes.append(process)

    def stop(self) -> None:
        """End the processes."""
        for process, pipe in zip(self._processes, self._pipes, strict=True):
            pipe.close()
            process.terminate()
            process.join()
        self._processes, self._pipes = [], []


def _serve(rank: int, store: str, pipe: Connection) -> None:
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    patience = timedelta(seconds=PATIENCE)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=RANKS, timeout=patience)
    while True:
        try:
            task, args, kwargs = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send((True, task(*args, **kwargs)))
        except Exception:
            pipe.send((False, traceback.format_exc()))

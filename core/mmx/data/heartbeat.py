"""Where processes that read data show that they make progress, so that a slow one is told from one that hangs."""

from __future__ import annotations

from ctypes import c_int64
from multiprocessing.sharedctypes import RawArray
from typing import Final, final

NOTHING: Final = -1
"""Stands for the sample of a process that reads none."""


@final
class Heartbeat:
    """Beats of some processes, in memory that they share."""

    def __init__(self, processes: int) -> None:
        self._beats = RawArray(c_int64, processes)
        self._samples = RawArray(c_int64, [NOTHING] * processes)

    def of(self, process: int) -> int:
        """Return how often a process has made progress."""
        return self._beats[process]

    def sample(self, process: int) -> int:
        """Return the index of the sample that a process reads, or ``NOTHING``."""
        return self._samples[process]

    def beat(self, process: int, sample: int | None) -> None:
        """Count one for a process."""
        self._beats[process] += 1
        if sample is not None:
            self._samples[process] = sample


@final
class _Here:
    """Where this process shows its own; nowhere, if nobody waits for it."""

    heartbeat: Heartbeat | None = None
    process = 0


def show(heartbeat: Heartbeat, process: int) -> None:
    """Let the beats of this process be seen."""
    _Here.heartbeat, _Here.process = heartbeat, process


def beat(sample: int | None = None) -> None:
    """Show that this process makes progress: it begins to read a sample, or waits for something that has a limit of its own."""
    if _Here.heartbeat is not None:
        _Here.heartbeat.beat(_Here.process, sample)

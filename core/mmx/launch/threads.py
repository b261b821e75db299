"""How torch's threads wait, and how many there are: settled before torch is imported, which reads it once."""

from __future__ import annotations

import os
import sys
from typing import Final

from mmx.limits import cpu_quota

WAITING: Final = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""With any of these a user says how threads wait."""
NUMBER: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_THREAD_LIMIT")
"""With any of these a user says how many there are."""
_chosen: dict[str, str] = {}
"""What was set here, so is no wish of the user's."""


def settle() -> None:
    """Let threads sleep while they wait for each other, and have no more of them than this process has CPUs.

    By default a thread that is done with its part of a matrix product spins until the others are: beside another program
    it takes the time that they need. What the user has set stays. Where torch is imported already, this holds for the
    processes that are started from here.
    """
    if not any(name in os.environ for name in WAITING):
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    if not wished() and cpus() < _allowed():
        os.environ["OMP_NUM_THREADS"] = _chosen["OMP_NUM_THREADS"] = str(cpus())


def cpus() -> int:
    """Return how many CPUs' time this process has: those it may run on, or the quota of its control group if lower.

    What other programs use does not count: sums are rounded in another order with another number of threads, and a run
    must not depend on what else happened to run when it began.
    """
    quota = cpu_quota()
    return _allowed() if quota is None else max(1, min(_allowed(), int(quota)))


def wished() -> bool:
    """Return whether the user has said how many threads there are."""
    return any(name in os.environ and os.environ[name] != _chosen.get(name) for name in NUMBER)


def number() -> int:
    """Return how many threads torch has, or would have."""
    torch = sys.modules.get("torch")
    return cpus() if torch is None else torch.get_num_threads()


def for_others() -> dict[str, str]:
    """Return the environment for processes that are to have another number of threads, unless the user has said it."""
    return {name: value for name, value in os.environ.items() if value != _chosen.get(name)}


def _allowed() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

"""What the control group of this process, such as a container's, lets it use."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

GROUPS: Final = Path("/sys/fs/cgroup")
OWN: Final = Path("/proc/self/cgroup")


def cpu_quota() -> float | None:
    """Return how many CPUs' time the control group of this process gives it, None if it has no limit."""
    limits: list[float] = []
    for group in _groups("cpu"):
        older = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        words = _words(group / "cpu.max") or [word for name in older for word in _words(group / name)]
        if len(words) == 2 and words[0] not in ("max", "-1"):
            limits.append(int(words[0]) / int(words[1]))
    return min(limits, default=None)


def memory_limit() -> int | None:
    """Return the bytes that the control group of this process may use, None if it has no limit."""
    files = [group / name for group in _groups("memory") for name in ("memory.max", "memory.limit_in_bytes")]
    return min((int(word) for file in files for word in _words(file) if word != "max"), default=None)


def _groups(controller: str) -> Iterator[Path]:
    """Yield the control groups of this process, from its own to the root, of version 2 and of version 1."""
    with contextlib.suppress(OSError):
        for line in OWN.read_text().splitlines():
            _, names, path = line.split(":", 2)
            base = GROUPS / controller if controller in names.split(",") else GROUPS
            if not names or base != GROUPS:
                own = Path(path)
                yield from (base / str(group).lstrip("/") for group in (own, *own.parents))


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:
        return []

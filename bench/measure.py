"""What the benchmarks share: the machine's own limits, pairs of timings, peak memory, and the gate before timing."""

import ctypes
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, final

import torch
from torch import Tensor

MIB: Final = 2**20
_RESAMPLES: Final = 2000


@final
@dataclass(frozen=True)
class Pairs:
    """Seconds of the same work by mmx and by a peer, measured in turn: mmx, peer, mmx, peer, and so on."""

    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """How many times as fast mmx is: the peer's median time over mmx's."""
        return _ratio(self.ours, self.theirs)

    def interval(self) -> tuple[float, float]:
        """Return the 95 % interval of the ratio, by drawing pairs with replacement; the same on every call."""
        draw, places = random.Random(0), range(len(self.ours))
        ratios: list[float] = []
        for _ in range(_RESAMPLES):
            chosen = draw.choices(places, k=len(places))
            ratios.append(_ratio([self.ours[i] for i in chosen], [self.theirs[i] for i in chosen]))
        ratios.sort()
        return ratios[round(0.025 * _RESAMPLES)], ratios[round(0.975 * _RESAMPLES) - 1]

    def describe(self) -> str:
        """Return the ratio with its interval and the number of pairs."""
        low, high = self.interval()
        return f"{self.ratio:.2f} ({low:.2f} to {high:.2f}, n={len(self.ours)})"


def _ratio(ours: tuple[float, ...] | list[float], theirs: tuple[float, ...] | list[float]) -> float:
    return statistics.median(theirs) / statistics.median(ours)


def seconds(work: Callable[[], object]) -> float:
    """Run once and return the seconds it took."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def interleaved(ours: Callable[[], object], theirs: Callable[[], object], pairs: int) -> Pairs:
    """Time both in turn, so that a change of the machine's speed meets both alike."""
    times = [(seconds(ours), seconds(theirs)) for _ in range(pairs)]
    return Pairs(tuple(ours for ours, _ in times), tuple(theirs for _, theirs in times))


def require_equal(what: str, ours: Tensor, theirs: Tensor, tolerance: float) -> float:
    """Return the relative difference ``|ours - theirs| / |theirs|`` (Euclidean norms).

    Raises:
        SystemExit: it is above the tolerance; there is nothing to time where results differ.
    """
    difference = float((ours.double() - theirs.double()).norm() / theirs.double().norm())
    if not difference <= tolerance:
        sys.exit(f"{what} differs from the peer's by {difference:.2g} (at most {tolerance:g} is allowed): not timed")
    return difference


@final
@dataclass(frozen=True)
class Machine:
    """The limits of this machine, as torch reaches them now."""

    gemm: float
    """fp32 matrix product, GFLOP/s."""
    copy: float
    """Reading and writing memory, GB/s of both together."""

    def describe(self) -> str:
        """Return both limits in one line."""
        return f"limits now: matrix product {self.gemm:.1f} GFLOP/s fp32, memory copy {self.copy:.1f} GB/s"

    def drift(self, later: "Machine") -> str:
        """Say how the matrix product's rate has changed since; a warning if by more than 5 %."""
        change = later.gemm / self.gemm - 1
        line = f"{later.describe()}, {100 * change:+.1f} % since the start"
        return f"WARNING: the machine's speed changed: {line}" if abs(change) > 0.05 else line


def machine(rows: int, inner: int, columns: int) -> Machine:
    """Measure the limits, the matrix product at the workload's size ``rows x inner @ inner x columns``."""
    return Machine(_gemm(rows, inner, columns), _copy())


def _gemm(rows: int, inner: int, columns: int) -> float:
    x, y, z = torch.randn(rows, inner), torch.randn(inner, columns), torch.empty(rows, columns)
    times = _repeated(lambda: torch.mm(x, y, out=z), 1.0)
    return 2e-9 * rows * inner * columns / min(times)


def _copy() -> float:
    source = torch.ones(64 * MIB)
    target = torch.empty_like(source)
    return 2e-9 * source.nbytes / min(_repeated(lambda: target.copy_(source), 0.5))


def _repeated(work: Callable[[], object], least: float) -> list[float]:
    work()
    times: list[float] = []
    while sum(times) < least or len(times) < 5:
        times.append(seconds(work))
    return times


def head(title: str, *packages: str) -> str:
    """Return the lines that stand above every table: versions, threads, processor, and whether it is busy."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("mmx", "torch", *packages))
    lines = [
        title,
        f"{versions}, Python {platform.python_version()}; {torch.get_num_threads()} threads on {_processor()}",
    ]
    load = os.getloadavg()[0]
    if load > 0.5:
        lines.append(f"WARNING: load average {load:.2f}: other programs are running, so do not trust these figures")
    return "\n".join(lines)


def _processor() -> str:
    try:
        names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    except OSError:
        names = []
    name = names[0].partition(":")[2].strip() if names else platform.machine()
    return f"{name}, {os.cpu_count()} cores"


def with_peak(work: Callable[[], object]) -> tuple[float, int]:
    """Run once; return the seconds, and by how many bytes resident memory rose above where it stood, at its highest.

    The kernel keeps that height (``VmHWM``) and is asked to start it anew, so that no peak falls between two samples.
    ``ru_maxrss`` would not do: a child begins with its parent's. Memory that was freed before is given back first, so
    that it cannot be used again unseen. Linux only.
    """
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = _resident("VmRSS")
    took = seconds(work)
    return took, _resident("VmHWM") - before


def _resident(name: str) -> int:
    return _kib(Path("/proc/self/status"), name)


def _kib(path: Path, name: str) -> int:
    """Return a line such as ``VmRSS:  1024 kB`` in bytes."""
    lines = dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
    return 1024 * int(lines[name].split()[0])


def proportional(process: int) -> int:
    """Return the resident bytes of a process and its descendants; what n processes share counts as an nth for each."""
    folder = Path(f"/proc/{process}")
    try:
        own = _kib(folder / "smaps_rollup", "Pss")
        tasks = [task / "children" for task in (folder / "task").iterdir()]
        children = {int(child) for task in tasks for child in task.read_text().split()}
    except (OSError, KeyError):  # it has ended meanwhile
        return 0
    return own + sum(map(proportional, children))


def memory_left() -> int:
    """Return the bytes that can be had before the machine, or the container, is out of memory."""
    left = [_kib(Path("/proc/meminfo"), "MemAvailable")]
    folder = Path("/sys/fs/cgroup")
    for most, used in (
        (folder / "memory.max", folder / "memory.current"),
        (folder / "memory/memory.limit_in_bytes", folder / "memory/memory.usage_in_bytes"),
    ):
        if most.is_file() and used.is_file() and most.read_text().strip() != "max":
            left.append(int(most.read_text()) - int(used.read_text()))
    return min(left)


def in_fresh_process(script: str, *arguments: str) -> dict[str, Any]:
    """Run a script in a process of its own and return the JSON object that it prints.

    Raises:
        SystemExit: it failed, or was killed for want of memory.
    """
    done = subprocess.run([sys.executable, script, *arguments], stdout=subprocess.PIPE)
    if done.returncode:
        sys.exit(f"{script} {' '.join(arguments)} ended with {done.returncode}")
    return json.loads(done.stdout)

"""The machine: CPUs, memory, disk and files."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

from mmx.limits import cpu_quota, memory_limit
from mmx_doctor.finding import GIB, Finding, size, unless

SHARED: Final = Path("/dev/shm")
LOW_DISK: Final = 5 * GIB
"""Two checkpoints of CLIP ViT-B/32 with its optimizer's state are 3.4 GiB, and a third is written before one goes."""
LOW_FILES: Final = 1024
"""What most systems allow; data workers hold a few dozen files each, and pass batches as files."""


def cpus() -> Iterator[Finding]:
    """Look at the CPUs that this process may use."""
    total = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else total
    text = f"{usable} of {total}"
    quota = cpu_quota()
    if quota is not None and quota < usable:
        text = f"{text}, and time on {quota:.3g} of them (the quota of the control group)"
    yield Finding("machine", "CPUs", text)


def memory() -> Iterator[Finding]:
    """Look at the memory of the machine."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    text = size(total)
    with contextlib.suppress(OSError):  # only Linux has the file
        kib = re.search(r"^MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
        text += f", {size(1024 * int(kib[1]))} available" if kib else ""
    limit = memory_limit()
    if limit is not None and limit < total:
        text += f"; the control group has {size(limit)}"
    yield Finding("machine", "memory", text)


def _place() -> Path:
    """Return where runs would go, or the folder that theirs would be made in."""
    return Path("runs") if Path("runs").is_dir() else Path()


def _shown() -> str:
    return "./runs" if _place().name else "this folder"


def disk() -> Iterator[Finding]:
    """Look at the disk that runs would be written to."""
    usage = shutil.disk_usage(_place())
    text = f"{size(usage.free)} free of {size(usage.total)}, where {_shown()} is"
    advice = "checkpoints of large models may not fit: write runs to another disk with --out"
    yield unless(usage.free >= LOW_DISK, "machine", "disk", text, advice)


def locks() -> Iterator[Finding]:
    """Try whether a file can be locked where runs would be."""
    import fcntl  # not there on Windows

    found = partial(Finding, "machine", "file locks")
    try:
        file = tempfile.TemporaryFile(dir=_place())
    except OSError as error:
        text = f"cannot write in {_shown()}: {error.strerror}"
        yield found(text, "problem", "run mmx in a folder that you may write in, or write runs to one with --out")
        return
    with file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            text = f"do not work in {_shown()}: {error.strerror}"
            yield found(text, "problem", "a run locks its folder: write runs to a disk that has locks with --out")
        else:
            yield found(f"work in {_shown()}")


def shared() -> Iterator[Finding]:
    """Look at the memory that processes share."""
    if not SHARED.is_dir():  # other systems have no such folder, and no such limit
        return
    usage = shutil.disk_usage(SHARED)
    text = f"{size(usage.free)} free of {size(usage.total)}"
    advice = "data workers pass batches through it: give a container more (docker run --shm-size=8g), or data.workers=0"
    yield unless(usage.free >= GIB, "machine", "shared memory", text, advice)


def files() -> Iterator[Finding]:
    """Look at how many files a process may have open."""
    import resource  # not there on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    text = "no limit" if soft == resource.RLIM_INFINITY else f"{soft:,} at most"
    most = LOW_FILES if hard == resource.RLIM_INFINITY else min(hard, LOW_FILES)
    advice = f"ulimit -n {most}" if most > soft else "ask who runs this machine for more"
    yield unless(text == "no limit" or soft >= LOW_FILES, "machine", "open files", text, f"workers need some: {advice}")

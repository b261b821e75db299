"""Trackers: they live through everything a run may show them, change nothing, and leave nothing behind."""

import contextlib
import io
import multiprocessing
import os
import threading
from pathlib import Path
from typing import Final

from mmx.parts.tracker import Tracker
from mmx_kit.case import Case
from mmx_kit.check import BrokenError, Check
from mmx_kit.life import FAILED, SECRET, Seen, connected, live

_PATIENCE: Final = 60.0
"""Seconds that ``close`` may take."""
_KIND: Final = ("tracker",)


def _hooks(case: Case) -> None:
    connected(case.build())


def _life(case: Case) -> None:
    _check_output(live(case.build(), case.folder / "run"))


def _failure(case: Case) -> None:
    _check_output(live(case.build(), case.folder / "run", start=10, outcome=FAILED))


def _check_output(seen: Seen) -> None:
    if seen.printed:
        raise BrokenError(
            f"it wrote to standard output, which scripts read: {seen.printed[:100]!r}; use standard error"
        )
    if SECRET in seen.said:
        raise BrokenError("a value of the environment that is secret (such as HF_TOKEN) was written to standard error")
    for path in sorted(seen.folder.rglob("*")):
        if path.is_file() and SECRET.encode() in path.read_bytes():
            name = path.relative_to(seen.folder)
            raise BrokenError(f"a value of the environment that is secret (such as HF_TOKEN) was written to {name}")


def _close(case: Case) -> None:
    tracker: Tracker = case.build()
    with contextlib.redirect_stderr(io.StringIO()):
        _in_time(tracker)
        _in_time(tracker)


def _in_time(tracker: Tracker) -> None:
    """Close in a thread of its own, so that one that hangs can be told of."""
    errors: list[BaseException] = []

    def close() -> None:
        try:
            tracker.close()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=close, daemon=True)
    thread.start()
    thread.join(_PATIENCE)
    if thread.is_alive():
        raise BrokenError(f"close did not return within {_PATIENCE:g} s")
    if errors:
        raise BrokenError(
            f"close raised {type(errors[0]).__name__}: {errors[0]}; it is also called where a run never started, and twice"
        )


def _leaves_nothing(case: Case) -> None:
    threads, children = set(threading.enumerate()), _children()
    tracker: Tracker = case.build()
    live(tracker, case.folder / "run")
    with contextlib.redirect_stderr(io.StringIO()):
        _in_time(tracker)
    left = [thread.name for thread in threading.enumerate() if thread not in threads]
    if left:
        raise BrokenError(f"after close there are threads that it started: {', '.join(left)}; end them in close")
    alive = sorted(_children() - children)
    if alive:
        raise BrokenError(f"after close there are processes that it started: {alive}; end them in close")


def _children() -> set[int]:
    """Return the ids of this process's children, zombies left out; those of multiprocessing where /proc is not there."""
    known = {child.pid for child in multiprocessing.active_children() if child.pid is not None}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            state, parent = status.read_text().rpartition(")")[2].split()[:2]
            if int(parent) == os.getpid() and state != "Z":
                known.add(int(status.parent.name))
    return known


TRACKER_CHECKS: Final = (
    Check("hooks", "its hooks exist, are marked, and take arguments that there are", _KIND, _hooks),
    Check(
        "a run", "no hook raises, prints to standard output, tells secrets or changes what it is given", _KIND, _life
    ),
    Check("a failed run", "the same of a run that was resumed and then failed", _KIND, _failure),
    Check("close", "close may be called twice, and where no run started; it returns in time", _KIND, _close),
    Check("nothing left", "after close no thread and no process of its own is left", _KIND, _leaves_nothing),
)

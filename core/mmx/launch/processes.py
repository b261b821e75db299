"""Several processes of one job on this machine: started together, told of signals together, and ended together."""

from __future__ import annotations

import math
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from signal import Signals
from tempfile import TemporaryDirectory
from typing import Final

from mmx.launch.children import LAST, Children, Ended
from mmx.launch.rank import LAUNCHER
from mmx.launch.signals import EXIT_CODES
from mmx.wording import printable

GRACE: Final = 20.0
"""Seconds that the other processes have to end by themselves when one has failed."""
ORPHANED: Final = 60.0
"""Seconds that a process has to save and end when the one that started it has vanished."""
_LINES: Final = 15
_TAIL: Final = 16_384


def supervise(
    command: Sequence[str],
    count: int,
    *,
    env: Mapping[str, str],
    threads: int,
    grace: float = GRACE,
    say: Callable[[str], None],
) -> int:
    """Run a command in several processes, with torchrun's variables, and return the exit code of them all.

    Rank 0 writes where this process does. SIGINT, SIGTERM and SIGUSR1 go to each process. When one fails, or at a
    second Ctrl-C, the others must end within ``grace`` seconds; a process that stopped on request (``EXIT_CODES``) has
    not failed, and the others may save as long as they need.

    Args:
        command: a program and its arguments.
        count: how many processes.
        env: their environment.
        threads: how many threads each may use, unless OMP_NUM_THREADS is set.
        grace: seconds.
        say: takes what the user would not see else: how the first one failed, unless that is rank 0 and it could speak.

    Returns:
        Zero if all ended with zero; what rank 0 returned, if it ended by itself with something else; else what the
        first one to fail returned. A death by signal N counts as 128 + N.
    """
    events: SimpleQueue[Ended | Signals] = SimpleQueue()
    # Signals are queued until the last child has gone: nothing can interrupt its end.
    with _received(events), TemporaryDirectory(prefix="mmx-") as logs, Children(Path(logs), events) as children:
        for each in _environments(count, env, threads):
            children.start(command, each)
        ended, unforced = _wait(children, events, count, grace)
        culprit = next(filter(_failed, unforced), None) or next((one for one in ended if one.code), None)
        if culprit is None:
            return 0
        answer = next((one for one in unforced if one.rank == 0 and one.code), culprit)
        # Rank 0 says itself why it fails or aborts, but not where it is killed or crashes.
        unheard = culprit.rank > 0 or (culprit.code < 0 and culprit.code != -signal.SIGABRT)
        if unheard and culprit in unforced and (_failed(culprit) or answer is culprit):
            say(_account(culprit, count, children.log(culprit.rank)))
        return 128 - answer.code if answer.code < 0 else answer.code


def end_with_parent(seconds: float = ORPHANED) -> None:
    """End this process when the one that supervises it has ended: SIGTERM, and SIGKILL for its group if that is in vain.

    Does nothing in a process that ``supervise`` has not started. It takes stdin away, which is empty anyway.
    """
    if os.environ.get(LAUNCHER) != "mmx" or os.getsid(0) != os.getpid():
        return
    pipe = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    threading.Thread(target=_end_at_end_of, args=(pipe, seconds), daemon=True).start()


def _end_at_end_of(pipe: int, seconds: float) -> None:
    while os.read(pipe, 1):
        pass
    # To the main thread: sent to the process, it might interrupt only this one, and the handler would wait.
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
    time.sleep(seconds)
    os.killpg(os.getpid(), signal.SIGKILL)


def _environments(count: int, env: Mapping[str, str], threads: int) -> list[dict[str, str]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    every = {"OMP_NUM_THREADS": str(threads), **env, "WORLD_SIZE": str(count), LAUNCHER: "mmx"}
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [{**every, **meeting, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count)]


@contextmanager
def _received(events: SimpleQueue[Ended | Signals]) -> Generator[None]:
    """Queue signals instead of obeying them; possible in the main thread only."""
    before: dict[Signals, object] = {}
    if threading.current_thread() is threading.main_thread():
        for number in map(Signals.__getitem__, EXIT_CODES):
            before[number] = signal.signal(number, lambda number, _: events.put(Signals(number)))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)  # pyright: ignore[reportArgumentType]


def _wait(
    children: Children, events: SimpleQueue[Ended | Signals], count: int, grace: float
) -> tuple[list[Ended], list[Ended]]:
    """Return how they ended, in this order: all, and those that did before the others were made to."""
    ended: list[Ended] = []
    unforced: list[Ended] | None = None
    interrupted = False
    deadline = math.inf
    while len(ended) < count:
        event = _next(events, deadline)
        if event is None and unforced is None:
            children.signal(signal.SIGTERM)
            unforced, deadline = [*ended], time.monotonic() + LAST
        elif event is None:
            children.kill()
            deadline = math.inf
        elif isinstance(event, Ended):
            ended.append(event)
        else:
            children.signal(event)
        # The first Ctrl-C asks to save and end, which may take long; the second is for one that hangs.
        hurry = _failed(event) if isinstance(event, Ended) else interrupted and event == signal.SIGINT
        if hurry and unforced is None:
            deadline = min(deadline, time.monotonic() + grace)
        interrupted = interrupted or event == signal.SIGINT
    return ended, ended if unforced is None else unforced


def _next(events: SimpleQueue[Ended | Signals], deadline: float) -> Ended | Signals | None:
    """Wait for what happens next; None if nothing does until the deadline."""
    try:
        return events.get(timeout=None if deadline == math.inf else max(deadline - time.monotonic(), 0.0))
    except Empty:
        return None


def _failed(one: Ended) -> bool:
    return one.code not in (0, *EXIT_CODES.values())


def _account(one: Ended, count: int, log: Path) -> str:
    name = next((each.name for each in Signals if each == -one.code), f"signal {-one.code}")
    how = f"ended with exit code {one.code}" if one.code > 0 else f"was ended by {name}"
    if one.code == -signal.SIGKILL:
        how += " (often because the machine ran out of memory)"
    head = f"rank {one.rank} of {count} (they count from 0) {how}"
    if one.rank == 0:  # what it wrote was seen
        return head
    with open(log, "rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL))
        lines = file.read().decode("utf-8", "replace").rstrip().split("\n")[-_LINES:]
    if lines == [""]:
        return f"{head} and wrote nothing"
    return "\n".join([f"{head}; the last it wrote:", *(f"  {printable(line.expandtabs())}" for line in lines)])

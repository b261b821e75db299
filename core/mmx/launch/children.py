"""The processes of one job on this machine, each with its process group: started, signalled, and all gone at the end."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from signal import Signals
from types import TracebackType
from typing import Final, Self, final

from mmx.errors import MmxError

LAST: Final = 5.0
"""Seconds that a process has after SIGTERM, and what it leaves behind has after its end, before SIGKILL."""


@dataclass(frozen=True)
class Ended:
    """One of the processes has ended."""

    rank: int
    code: int
    """Negative if a signal ended it."""


@final
class Children:
    """Processes with ranks from 0 on; all but rank 0 write to files. None is left after ``with Children(...)``.

    The end of each is put into a queue, where the signals that this process receives may be too.
    """

    def __init__(self, logs: Path, events: SimpleQueue[Ended | Signals]) -> None:
        self._logs, self._events = logs, events
        self._processes: list[subprocess.Popen[bytes]] = []
        self._watchers: list[threading.Thread] = []

    def __enter__(self) -> Self:
        # Each child has the read end as its stdin. The system closes the write end with this process, however it ends.
        self._read, self._write = os.pipe()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if any(watcher.is_alive() for watcher in self._watchers):
                self._end()
        finally:
            os.close(self._read)
            os.close(self._write)

    def start(self, command: Sequence[str], env: Mapping[str, str]) -> None:
        """Start the next one.

        Raises:
            MmxError: the system does not.
        """
        rank = len(self._processes)
        try:
            with open(self.log(rank), "wb") as log:
                output = log if rank else None
                process = subprocess.Popen(
                    [*command], stdin=self._read, stdout=output, stderr=output, env=env, start_new_session=True
                )
        except OSError as error:
            raise MmxError(f"cannot start process {rank}: {command[0]}: {error.strerror}") from error
        self._processes.append(process)
        watcher = threading.Thread(target=self._watch, args=(rank, process), daemon=True)
        self._watchers.append(watcher)
        watcher.start()

    def log(self, rank: int) -> Path:
        """Return the file with the output of a rank, empty for rank 0."""
        return self._logs / f"rank-{rank}.log"

    def signal(self, number: Signals) -> None:
        """Send a signal to each one that runs, but not to what it started itself."""
        for process in self._processes:
            process.send_signal(number)

    def kill(self) -> None:
        """End each one that runs, at once and with its process group."""
        for process in self._processes:
            if process.returncode is None:
                _kill_group(process.pid)

    def _watch(self, rank: int, process: subprocess.Popen[bytes]) -> None:
        self._events.put(Ended(rank, process.wait()))
        end = time.monotonic() + LAST
        # A group's number is not given anew while it has members; so this cannot meet a stranger.
        while _group_lives(process.pid):
            if time.monotonic() > end:
                return _kill_group(process.pid)
            time.sleep(0.02)

    def _end(self) -> None:
        self.signal(signal.SIGTERM)
        end = time.monotonic() + LAST
        for watcher in self._watchers:
            watcher.join(max(end - time.monotonic(), 0.0))
        self.kill()
        for watcher in self._watchers:
            watcher.join()


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # a member of it has become another user
        return True
    return True


def _kill_group(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)

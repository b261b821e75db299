"""One process writes a run, no more."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from mmx.checkpoint.atomic import write_all
from mmx.errors import CheckpointError

NAME: Final = ".lock"


class RunLock:
    """Held as long as a process writes a run: ``with RunLock(folder): ...``.

    The system releases it when the process ends, however it ends. It is a record lock: data workers that were
    forked do not inherit it, so a run whose main process was killed can be resumed while they still die.
    """

    def __init__(self, run: Path) -> None:
        self._path = run / NAME
        self._handle: int | None = None

    def __enter__(self) -> Self:
        """Take the lock.

        Raises:
            CheckpointError: another process has it; the message names it.
        """
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            raise CheckpointError(f"cannot write in the run {self._path.parent}: {error.strerror}") from error
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            message = self._refusal(error, os.read(handle, 200))
            os.close(handle)
            raise CheckpointError(message) from error
        os.ftruncate(handle, 0)
        write_all(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode("ascii", "replace"))
        self._handle = handle
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _refusal(self, error: OSError, content: bytes) -> str:
        if error.errno not in (errno.EACCES, errno.EAGAIN):
            return f"cannot lock {self._path}: {error.strerror}; put the runs on a disk that has locks"
        holder = content.decode("ascii", "replace").strip() or "another process"
        return f"the run {self._path.parent} is being written by {holder}; wait for it, or stop it first"

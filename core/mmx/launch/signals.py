"""Stopping on request: a flag is raised, and the loop saves and ends at the next step, or at once where it only waits."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Final, final

EXIT_CODES: Final = {"SIGINT": 130, "SIGTERM": 143, "SIGUSR1": 75}
TIME_LIMIT: Final = 75
"""Exit code of a run that stopped by itself and can be resumed (also used by schedulers to requeue)."""


@dataclass(frozen=True)
class Stop:
    """Why a run ends before its last step."""

    reason: str
    exit_code: int


class Stopping(BaseException):
    """A request to stop came where nothing is half done."""


@final
class StopRequests:
    """Listens for Ctrl-C, SIGTERM and SIGUSR1 while it is entered. A second Ctrl-C interrupts at once."""

    def __init__(self) -> None:
        self.received: str | None = None
        self._interrupted = False
        self._eager = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> StopRequests:
        if threading.current_thread() is threading.main_thread():
            for name in EXIT_CODES:
                number = getattr(signal, name)
                self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # pyright: ignore[reportArgumentType]
        self._before = {}

    @contextmanager
    def at_once(self) -> Generator[None]:
        """Do not wait for what happens inside once a request has come. It must be something that can be left half done.

        Raises:
            Stopping: in the middle of it.
        """
        self._eager = True
        try:
            if self.received is not None:
                raise Stopping
            yield
        finally:
            self._eager = False

    def _receive(self, number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if name == "SIGINT" and self._interrupted:
            raise KeyboardInterrupt
        self._interrupted = self._interrupted or name == "SIGINT"
        self.received = self.received or name
        if self._eager:
            self._eager = False
            raise Stopping

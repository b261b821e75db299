"""Stopping on request: handlers only raise a flag, the loop saves and ends at the next step."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Final, final

EXIT_CODES: Final = {"SIGINT": 130, "SIGTERM": 143, "SIGUSR1": 75}
TIME_LIMIT: Final = 75
"""Exit code of a run that stopped by itself and can be resumed (also used by schedulers to requeue)."""


@final
class StopRequests:
    """Listens for Ctrl-C, SIGTERM and SIGUSR1 while it is entered. A second Ctrl-C interrupts at once."""

    def __init__(self) -> None:
        self.received: str | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> StopRequests:
        if threading.current_thread() is threading.main_thread():
            for name in EXIT_CODES:
                number = getattr(signal, name)
                self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # pyright: ignore[reportArgumentType]
        self._before = {}

    def _receive(self, number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if name == "SIGINT" and self.received == "SIGINT":
            raise KeyboardInterrupt
        self.received = self.received or name

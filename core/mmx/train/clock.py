"""Where the time of a run goes: training, waiting for data, and everything else."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import final


@final
class Clock:
    """Measures the run. Rates are over a sliding window of records, evaluation and checkpoints left out."""

    def __init__(self, spent: float, window: int = 5) -> None:
        self._start = time.monotonic() - spent
        self._idle = 0.0
        self._waited = 0.0
        self._rows = 0
        self._mark = time.monotonic()
        self._records: deque[tuple[float, int, int]] = deque(maxlen=window)
        self._steps = 0
        self._stages = Counter[str]()

    @property
    def seconds(self) -> float:
        """Seconds of the run so far, earlier parts of a resumed run included."""
        return time.monotonic() - self._start

    @contextmanager
    def waiting(self) -> Generator[None]:
        """Count what happens inside as waiting for data."""
        before = time.monotonic()
        yield
        self._waited += time.monotonic() - before

    @contextmanager
    def aside(self) -> Generator[None]:
        """Leave what happens inside out of the rates."""
        before = time.monotonic()
        yield
        self._idle += time.monotonic() - before

    def step(self, rows: int, stages: Mapping[str, float]) -> None:
        """Count a step, and the seconds that each stage of reading it took."""
        self._rows += rows
        self._steps += 1
        self._stages.update(stages)

    def slowest(self) -> str:
        """Return the stage of reading that took longest since the last call, empty if nothing was read."""
        found = max(self._stages, key=self._stages.__getitem__, default="")
        self._stages.clear()
        return found

    def record(self, left: int) -> tuple[float, float, float]:
        """Close the interval since the last record.

        Args:
            left: steps still to take.

        Returns:
            Images per second, the share of this interval spent waiting for data, and the estimated seconds left.
        """
        now = time.monotonic()
        busy = max(now - self._mark - self._idle, 1e-9)
        waited = min(1.0, self._waited / busy)
        self._records.append((busy, self._rows, self._steps))
        self._mark, self._idle, self._waited, self._rows, self._steps = now, 0.0, 0.0, 0, 0
        seconds, rows, steps = (sum(column) for column in zip(*self._records, strict=True))
        return rows / seconds, waited, left * seconds / max(steps, 1)

"""How several sources share the positions of a run: evenly, and exactly as often as asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np
from jaxtyping import Int64

Part = tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " n"]]


@final
class Interleave:
    """An endless line in which every ``sum(counts)`` positions have ``counts[i]`` of source i, spread evenly.

    The j-th of source i stands at the time (2 j + 1) / (2 counts[i]) of a period, and the line is in the order of times,
    then of sources. So any part of it is computed by itself, and each source is met in its own order.
    """

    def __init__(self, counts: Sequence[int]) -> None:
        self.counts = tuple(counts)
        self.period = sum(counts)

    def __call__(self, first: int, number: int) -> Part:
        """Return the sources at positions from ``first`` on, and for each how many of its source came before it."""
        parts: list[Part] = []
        while number:
            period, inside = divmod(first, self.period)
            here = min(number, self.period - inside)
            sources, places = self._within(inside, here)
            parts.append((sources, places + period * np.asarray(self.counts, np.int64)[sources]))
            first, number = first + here, number - here
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])

    def before(self, position: int) -> Sequence[int]:
        """Return how many of each source stand before a position."""
        periods, inside = divmod(position, self.period)
        past = self._before(inside)
        found, left = np.asarray(past, np.int64) + periods * np.asarray(self.counts, np.int64), inside - sum(past)
        if left:
            found += np.bincount(self._within(inside - left, left)[0], minlength=len(self.counts))
        return found.tolist()

    def _within(self, first: int, number: int) -> Part:
        if len(self.counts) == 1:
            return np.zeros(number, np.int64), np.arange(first, first + number)
        before = self._before(first)
        skip = first - sum(before)
        # Between two times, no source is more than one off its even share of what lies between them.
        wanted = [
            min(count - past, (skip + number + len(self.counts)) * count // self.period + 2)
            for count, past in zip(self.counts, before, strict=True)
        ]
        sources = np.repeat(np.arange(len(wanted)), wanted)
        places = np.concatenate([np.arange(past, past + more) for past, more in zip(before, wanted, strict=True)])
        times = (2 * places + 1) / (2 * np.asarray(self.counts, np.float64)[sources])
        order = np.lexsort((sources, times))[skip : skip + number]
        return sources[order], places[order]

    def _before(self, first: int) -> list[int]:
        """Return how many of each source stand before the latest time that at most ``first`` in all stand before."""
        low, high = 0.0, 1.0
        while (middle := (low + high) / 2) not in (low, high):
            if sum(self._earlier(middle)) <= first:
                low = middle
            else:
                high = middle
        return self._earlier(low)

    def _earlier(self, time: float) -> list[int]:
        return [_earlier(time, count) for count in self.counts]


def _earlier(time: float, count: int) -> int:
    """Return how many of a source stand before a time, by the very numbers that the line is sorted by."""
    found = min(count, max(0, int(time * count)))
    while found < count and (2 * found + 1) / (2 * float(count)) < time:
        found += 1
    while found and (2 * found - 1) / (2 * float(count)) >= time:
        found -= 1
    return found

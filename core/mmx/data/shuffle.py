"""The order of one pass over a dataset: all samples mixed, or a few runs (shards) at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, final

import numpy as np
from jaxtyping import Int64

from mmx.data.permute import Permutation, seed_of

_PASSES: Final = 2
"""Layouts of passes that are remembered: a batch may reach from one into the next."""
_WINDOWS: Final = 4
"""Orders of windows that are remembered."""


@dataclass(frozen=True)
class _Layout:
    """The runs of one pass in their order, and the windows in which they are mixed."""

    starts: Int64[np.ndarray, " runs"]
    """First sample of each run."""
    ends: Int64[np.ndarray, " runs"]
    """Position after each run's last sample."""
    windows: Int64[np.ndarray, " windows"]
    """Position after each window's last sample."""


@final
class Shuffle:
    """Which sample comes at which position of which pass: each exactly once a pass.

    Args:
        runs: sizes of runs of samples that are stored together, in order.
        window: how many runs are mixed at a time, in an order that is random too; 0 mixes all samples.
        seed: with the number of the pass, all that the order depends on.
    """

    def __init__(self, runs: Sequence[int], window: int, seed: int) -> None:
        self.count = sum(runs)
        self._runs = np.asarray(runs if window else [self.count], np.int64)
        self._window = window or 1
        self._seed = seed
        self._layout = lru_cache(_PASSES)(self._laid_out)
        self._order = lru_cache(_WINDOWS)(self._ordered)

    def __call__(self, turn: int, positions: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
        """Return the samples at positions of pass number ``turn``."""
        layout = self._layout(turn)
        windows = np.searchsorted(layout.windows, positions, side="right")
        found = np.empty_like(positions)
        for window in np.unique(windows):
            here = windows == window
            found[here] = self._within(layout, turn, int(window), positions[here])
        return found

    def _within(self, layout: _Layout, turn: int, window: int, positions: np.ndarray) -> np.ndarray:
        first = int(layout.windows[window - 1]) if window else 0
        order = self._order(turn, window, int(layout.windows[window]) - first)
        mixed = order(positions - first) + first
        runs = np.searchsorted(layout.ends, mixed, side="right")
        before = np.where(runs, layout.ends[runs - 1], 0)
        return layout.starts[runs] + mixed - before

    def _ordered(self, turn: int, window: int, count: int) -> Permutation:
        return Permutation(count, seed_of("order", self._seed, turn, window))

    def _laid_out(self, turn: int) -> _Layout:
        starts = np.cumsum(self._runs) - self._runs
        order = Permutation(len(self._runs), seed_of("runs", self._seed, turn))(np.arange(len(self._runs)))
        ends = np.cumsum(self._runs[order])
        windows = np.append(ends[self._window - 1 : -1 : self._window], ends[-1:])
        return _Layout(starts[order], ends, windows)

"""Two things that go wrong in silence, each said once: the data is too slow, the loss does not move."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from typing import Final, cast

from mmx.run.events import Run, Step

WINDOW: Final = 50
"""Steps that are looked at together."""
INPUT_BOUND: Final = 0.3
"""Share of waiting from which the data is what limits the run."""
STUCK_AFTER: Final = 200
"""Steps after which a loss should have left the value of guessing."""
STUCK_WITHIN: Final = 0.03


class Watch:
    """Looks at each step and returns the warnings that are due."""

    def __init__(self, run: Run) -> None:
        self.seen = 0
        self.waits: deque[float] = deque(maxlen=WINDOW)
        self.first: dict[str, list[float]] = {}
        self.last: dict[str, deque[float]] = {}
        self.guess = _guess(run.recipe)
        self.warned = False

    def look(self, step: Step) -> list[str]:
        """Take note of a step."""
        self.seen += 1
        self.waits.append(step.waited)
        for name, loss in step.parts.items():
            first = self.first.setdefault(name, [])
            if len(first) < WINDOW:
                first.append(loss)
            self.last.setdefault(name, deque(maxlen=WINDOW)).append(loss)
        return [*self._input_bound(), *self._stuck()]

    def _input_bound(self) -> list[str]:
        share = sum(self.waits) / WINDOW
        if self.warned or len(self.waits) < WINDOW or share < INPUT_BOUND:
            return []
        self.warned = True
        return [f"input-bound: {share:.0%} of the time waits for data; raise data.workers or use smaller pictures"]

    def _stuck(self) -> list[str]:
        if self.seen != STUCK_AFTER or not self.guess:
            return []
        names = [name for name in self.last if self._near(self.first[name]) and self._near(self.last[name])]
        return [
            f"the loss '{name}' still is near ln(batch) = {self.guess:.2f}, which guessing gives: "
            "check that captions belong to their pictures, or try another optim.lr"
            for name in names
        ]

    def _near(self, losses: list[float] | deque[float]) -> bool:
        return abs(sum(losses) / len(losses) - self.guess) <= STUCK_WITHIN * self.guess


def _guess(recipe: Mapping[str, object]) -> float:
    data = recipe.get("data")
    batch = cast(Mapping[str, object], data).get("batch") if isinstance(data, Mapping) else None
    return math.log(batch) if isinstance(batch, int) and batch > 1 else 0.0

"""Two things that go wrong in silence, each said once: the data is too slow, the loss does not move."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final, cast

from mmx.parts.events import Run, Step

RECORDS: Final = 10
"""Records that are looked at together."""
STEPS: Final = 50
"""Steps before the waiting is judged: the first batches are slow in any run."""
INPUT_BOUND: Final = 0.3
"""Share of waiting from which the data is what limits the run."""
_MORE: Final = "raise data.workers or use smaller pictures"
_CURES: Final = {
    "read": "raise data.workers, or bring the data nearer",
    "decode": "raise data.workers, store smaller pictures (mmx data pack --size), or decode JPEG drafts (draft)",
}
"""What to do by the stage that takes longest."""
STUCK_STEPS: Final = 200
"""Steps after which a loss should have left the value of guessing."""
STUCK_WITHIN: Final = 0.03


class Watch:
    """Looks at each step and returns the warnings that are due."""

    def __init__(self, run: Run) -> None:
        self.start = run.start
        self.guess = _guess(run.recipe)
        self.waits: deque[float] = deque(maxlen=RECORDS)
        self.slowest = ""
        self.losses: dict[str, list[float]] = {}
        self.said: set[str] = set()

    def look(self, step: Step) -> list[str]:
        """Take note of a step."""
        taken = step.step - self.start
        if taken > 1:  # the first step waits for the workers to start
            self.waits.append(step.waited)
            self.slowest = step.slowest
        warnings: list[str] = []
        if taken >= STEPS and len(self.waits) == RECORDS:
            warnings += self._once("waits", self._input_bound())
        if "losses" not in self.said:
            for name, loss in step.parts.items():
                self.losses.setdefault(name, []).append(loss)
            if taken >= STUCK_STEPS:
                warnings += [warning for name in self.losses for warning in self._stuck(name)]
                self.said.add("losses")
        return warnings

    def _once(self, topic: str, warning: str) -> list[str]:
        if not warning or topic in self.said:
            return []
        self.said.add(topic)
        return [warning]

    def _input_bound(self) -> str:
        share = sum(self.waits) / RECORDS
        if share < INPUT_BOUND:
            return ""
        most = f", most of it for the stage '{self.slowest}'" if self.slowest else ""
        return f"input-bound: {share:.0%} of the time waits for data{most}; {_CURES.get(self.slowest, _MORE)}"

    def _stuck(self, name: str) -> list[str]:
        losses = self.losses[name]
        if not (self.guess and self._near(losses[:RECORDS]) and self._near(losses[-RECORDS:])):
            return []
        return [
            f"the loss '{name}' stays near ln(batch) = {self.guess:.2f}, which is what guessing gives: "
            "check that captions belong to their pictures, or try another optim.lr"
        ]

    def _near(self, losses: Sequence[float]) -> bool:
        return abs(sum(losses) / len(losses) - self.guess) <= STUCK_WITHIN * self.guess


def _guess(recipe: Mapping[str, object]) -> float:
    data = recipe.get("data")
    batch = cast(Mapping[str, object], data).get("batch") if isinstance(data, Mapping) else None
    return math.log(batch) if isinstance(batch, int) and batch > 1 else 0.0

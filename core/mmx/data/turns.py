"""Steps whose samples are of some sources only: sources take turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

from typing_extensions import override

from mmx.data.interleave import Interleave
from mmx.data.order import Order, StepOrder, Ticket, shares


@dataclass(frozen=True)
class Turn:
    """The order of the steps that are one turn's."""

    order: Order
    weight: float = 1.0
    """Its share of all steps, in any unit."""


@final
class Turns(StepOrder):
    """Takes each step from one of several orders, by their weights and spread evenly.

    The j-th step of a turn is the j-th of its own order, whatever the others are. An epoch is as many samples as all
    turns have together, as nearly as whole steps come to; turns go on where they are when the next epoch begins.

    Raises:
        DataError: a weight is less than a millionth of all.
    """

    def __init__(self, turns: Mapping[str, Turn]) -> None:
        self._orders = [turn.order for turn in turns.values()]
        counts = shares([turn.weight for turn in turns.values()], [f"data.turns.{name}.weight" for name in turns])
        self._line = Interleave(counts)
        self.samples = sum(order.samples for order in self._orders)
        round_ = sum(count * order.batch for count, order in zip(counts, self._orders, strict=True))
        self.per_epoch = max(1, self.samples * self._line.period // round_)

    @override
    def place(self, step: int) -> tuple[int, int]:
        epoch = step // self.per_epoch
        return epoch, self._before(step) - self._before(epoch * self.per_epoch)

    @override
    def rows(self, step: int) -> int:
        return self._orders[self._at(step)[0]].batch

    @override
    def tickets(self, step: int) -> list[Ticket]:
        turn, own = self._at(step)
        return self._orders[turn].tickets(own)

    @override
    def sorts(self) -> Sequence[tuple[int, float]]:
        counts, found = self._line.counts, dict[int, int]()
        step = 0
        while len(found) < len(counts):
            found.setdefault(self._at(step)[0], step)
            step += 1
        return [(found[turn], count / self._line.period) for turn, count in enumerate(counts)]

    def _at(self, step: int) -> tuple[int, int]:
        """Return whose turn a step is, and the number of the step among that turn's."""
        turns, places = self._line(step, 1)
        return int(turns[0]), int(places[0])

    def _before(self, step: int) -> int:
        """Return how many samples come before a step."""
        return sum(count * order.batch for count, order in zip(self._line.before(step), self._orders, strict=True))

"""What data workers are asked for: something that reads steps, and the samples of each step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar, final, runtime_checkable

from mmx.data.order import Asked, Ticket
from mmx.parts.dataset import Dataset

Read_co = TypeVar("Read_co", covariant=True)
"""What reading one step gives."""


@runtime_checkable
class StepReader(Protocol[Read_co]):
    """Reads whole steps; picklable, runs in data workers."""

    @property
    def dataset(self) -> Dataset:
        """What it reads, to name a sample at which a worker hangs."""
        ...

    def step(self, asked: Asked) -> Read_co:
        """Read the samples of one step."""
        ...


@runtime_checkable
class Asks(Protocol):
    """Which samples make up each step."""

    def asked(self, start: int, stop: int, rank: int = 0, ranks: int = 1, ahead: int = 0) -> Iterator[Asked]:
        """Yield what is read for steps ``start`` to ``stop``, excluded; see :meth:`mmx.data.order.Order.asked`."""
        ...


@final
@dataclass(frozen=True)
class InOrder:
    """Samples one after the other, ``size`` in a step and the rest in the last one: each once, as an evaluation reads."""

    samples: range
    size: int

    @property
    def steps(self) -> int:
        """How many steps there are."""
        return -(-len(self.samples) // self.size)

    def asked(self, start: int, stop: int, rank: int = 0, ranks: int = 1, ahead: int = 0) -> Iterator[Asked]:
        """Yield what is read for steps ``start`` to ``stop``; the samples are one rank's already."""
        for step in range(start, stop):
            later = self._of(step + ahead) if ahead and step + ahead < stop else range(0)
            yield Asked([Ticket(index, 0) for index in self._of(step)], list(later))

    def _of(self, step: int) -> range:
        return self.samples[step * self.size : (step + 1) * self.size]

"""The order of training: a pure function of seed, epoch and position, so that resuming needs one integer."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from jaxtyping import Int64
from typing_extensions import override

from mmx.data.interleave import Interleave
from mmx.data.permute import seed_of
from mmx.data.shuffle import Shuffle
from mmx.errors import DataError

_SHARES: Final = 2**20
"""Positions in which sources that are mixed by weight have their exact shares."""


@dataclass(frozen=True)
class Source:
    """One of the datasets that are mixed."""

    runs: Sequence[int]
    """Sizes of runs of samples that are stored together; their sum is the number of samples."""
    amount: float = 1.0
    """Passes over it in an epoch, or its weight among the sources."""
    name: str = ""
    """Its name in the recipe: the order of a source does not depend on those beside it."""
    start: int | None = None
    """Index of its first sample; behind the source before it if not given."""


@dataclass(frozen=True)
class Ticket:
    """One sample's place in the run: which sample, counted over all sources, in which pass over its source."""

    index: int
    epoch: int


@dataclass(frozen=True)
class Asked:
    """What one rank reads for one step."""

    tickets: Sequence[Ticket]
    ahead: Sequence[int]
    """Samples of a later step."""


class StepOrder(ABC):
    """Which samples make up each step, as a function of the number of the step."""

    samples: int
    """Samples in an epoch."""
    per_epoch: int
    """Steps in an epoch."""

    @abstractmethod
    def place(self, step: int) -> tuple[int, int]:
        """Return a step's epoch and its first position in that epoch. Steps count from 0."""

    @abstractmethod
    def rows(self, step: int) -> int:
        """Return how many samples a step has."""

    @abstractmethod
    def tickets(self, step: int) -> list[Ticket]:
        """Return the samples of a step, in their order."""

    @abstractmethod
    def sorts(self) -> Sequence[tuple[int, float]]:
        """Return the first step of each sort (same sources, same views), and its share of all steps."""

    def asked(self, start: int, stop: int, rank: int = 0, ranks: int = 1, ahead: int = 0) -> Iterator[Asked]:
        """Yield what is read for steps ``start`` to ``stop``, excluded: all rows, or one rank's equal part of them.

        Args:
            start: the first step.
            stop: the step after the last.
            rank: whose part.
            ranks: among how many the rows are divided.
            ahead: how many steps later those samples are read that each step names beforehand.
        """
        known: dict[int, list[Ticket]] = {}  # those named beforehand, until their step comes
        for step in range(start, stop):
            tickets = known.pop(step, None) or self._part(step, rank, ranks)
            if ahead and step + ahead < stop:
                known[step + ahead] = self._part(step + ahead, rank, ranks)
            yield Asked(tickets, [ticket.index for ticket in known.get(step + ahead, ())] if ahead else [])

    def _part(self, step: int, rank: int, ranks: int) -> list[Ticket]:
        tickets = self.tickets(step)
        return tickets[rank * len(tickets) // ranks : (rank + 1) * len(tickets) // ranks]


@final
class Order(StepOrder):
    """The order of steps that all have samples of the same sources.

    By repetitions, an epoch passes over each source as often as its amount says, and its incomplete last batch is
    dropped. By weights, a source has its share of every ``2**20`` samples and is passed over again and again; an epoch is
    as many samples as all sources have together.

    Args:
        sources: what is mixed, or the number of samples of the only one.
        batch: samples in a step.
        seed: the recipe's.
        window: runs of each source that are mixed at a time; 0 mixes all samples. With a window, the rows that a step has of
            a source are in their order in it.
        weighted: whether amounts are weights, rather than repetitions.
    """

    def __init__(
        self, sources: Sequence[Source] | int, batch: int, seed: int, window: int = 0, weighted: bool = False
    ) -> None:
        given = [Source((sources,))] if isinstance(sources, int) else sources
        sizes = [sum(source.runs) for source in given]
        if 0 in sizes:
            name = given[sizes.index(0)].name
            raise DataError(f"the training dataset{f' {name}' if name else ''} has no samples")
        if weighted:
            counts = shares([s.amount for s in given], [f"data.mix.weights.{s.name}" for s in given])
        else:
            counts = [round(s.amount * n) for s, n in zip(given, sizes, strict=True)]
        if 0 in counts:
            short = given[counts.index(0)].name
            raise DataError(
                f"data.mix.repeat.{short} is less than half a sample an epoch; raise it, or leave the source out"
            )
        self._window = window
        self._line = Interleave(counts)
        self._shuffles = [Shuffle(source.runs, window, seed_of("source", seed, source.name)) for source in given]
        behind = np.cumsum([0, *sizes[:-1]]).tolist()
        self._starts = [at if source.start is None else source.start for source, at in zip(given, behind, strict=True)]
        self.samples = sum(sizes) if weighted else sum(counts)
        if self.samples < batch:
            raise DataError(
                f"data.batch = {batch} is more than the {self.samples} training samples there are; lower data.batch"
            )
        self.batch = batch
        self.per_epoch = self.samples // batch
        self._epoch = self.per_epoch * batch if weighted else self.samples

    @override
    def place(self, step: int) -> tuple[int, int]:
        return step // self.per_epoch, step % self.per_epoch * self.batch

    @override
    def rows(self, step: int) -> int:
        return self.batch

    @override
    def sorts(self) -> Sequence[tuple[int, float]]:
        return [(0, 1.0)]

    @override
    def tickets(self, step: int) -> list[Ticket]:
        epoch, first = self.place(step)
        indices, turns = self._at(epoch * self._epoch + first)
        return [Ticket(index, turn) for index, turn in zip(indices.tolist(), turns.tolist(), strict=True)]

    def _at(self, position: int) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
        """Return samples and passes of the batch that begins at a position of the whole run."""
        sources, places = self._line(position, self.batch)
        indices, turns = np.empty_like(places), np.empty_like(places)
        for number in np.unique(sources).tolist():
            here, shuffle = np.flatnonzero(sources == number), self._shuffles[number]
            turn, inside = np.divmod(places[here], shuffle.count)
            turns[here] = turn
            for one in np.unique(turn).tolist():
                same, found = here[turn == one], shuffle(one, inside[turn == one])
                # So that a rank's part of the rows is from few runs, the same ones from step to step.
                indices[same] = self._starts[number] + (np.sort(found) if self._window else found)
        return indices, turns


def shares(weights: Sequence[float], keys: Sequence[str]) -> list[int]:
    """Return whole numbers in the ratio of weights, as small as they can be.

    Raises:
        DataError: a weight is next to nothing beside the others; the message has its key.
    """
    total = sum(weights)
    found = [round(_SHARES * weight / total) for weight in weights]
    if 0 in found:
        raise DataError(f"{keys[found.index(0)]} is less than a millionth of all weights; leave the source out")
    return [share // math.gcd(*found) for share in found]

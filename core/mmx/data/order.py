"""The order of training: a pure function of seed, epoch and position, so that resuming needs two integers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import torch

from mmx.errors import DataError


def seed_of(*parts: str | int) -> int:
    """Return 63 bits that depend on all parts and nothing else."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


@dataclass(frozen=True)
class Ticket:
    """One sample's place in the run: which sample, in which pass over the data."""

    index: int
    epoch: int


@final
class Order:
    """Which samples make up each step. Every epoch is a new permutation; its incomplete last batch is dropped."""

    def __init__(self, samples: int, batch: int, seed: int) -> None:
        if samples == 0:
            raise DataError("the training dataset has no samples")
        if samples < batch:
            raise DataError(
                f"data.batch = {batch} is more than the {samples} training samples there are; lower data.batch"
            )
        self.samples = samples
        self.batch = batch
        self.seed = seed
        self.per_epoch = samples // batch

    def place(self, step: int) -> tuple[int, int]:
        """Return a step's epoch and its first position in that epoch's permutation. Steps count from 0."""
        return step // self.per_epoch, step % self.per_epoch * self.batch

    def permutation(self, epoch: int) -> list[int]:
        """Return the order of an epoch."""
        draw = torch.Generator().manual_seed(seed_of("order", self.seed, epoch))
        return torch.randperm(self.samples, generator=draw).tolist()

    def tickets(self, start: int, steps: int, rank: int = 0, ranks: int = 1) -> Iterator[list[Ticket]]:
        """Yield the tickets of steps ``start`` to ``steps``, excluded: of all rows, or of one rank's equal part of them."""
        here = self.batch // ranks
        epoch, order = -1, list[int]()
        for step in range(start, steps):
            now, first = self.place(step)
            if now != epoch:
                epoch, order = now, self.permutation(now)
            first += rank * here
            yield [Ticket(index, epoch) for index in order[first : first + here]]

"""Numbers that a loss, a fusion or an evaluator finds on its way, told to every tracker."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, final

import torch
from jaxtyping import Shaped
from torch import Tensor

Totals = Mapping[str, tuple[float, float]]
"""By name the sum of what was reported, and of how many."""


def report(name: str, value: Shaped[Tensor, "..."] | float) -> None:
    """Tell trackers a number: ``report("accuracy", right.float())``, with one entry for each row, or one in all.

    They see the mean over all entries of a step: of every row, micro-batch and rank. Nothing is told where nobody
    listens, as in the conformance kit. It costs no waiting for a GPU but in the steps that are recorded.

    Args:
        name: under which trackers show it.
        value: one number or many; no gradient flows through it.
    """
    numbers = _LISTENING.get()
    if numbers is not None:
        numbers.add(name, value)


@final
class Numbers:
    """What was reported while it listened: of each name the sum and the count."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    @contextmanager
    def listening(self) -> Generator[None]:
        """Return a context in which :func:`report` adds to these."""
        before = _LISTENING.set(self)
        try:
            yield
        finally:
            _LISTENING.reset(before)

    def add(self, name: str, value: Tensor | float) -> None:
        """Add the entries of a value."""
        entries = torch.as_tensor(value).detach().double()
        self._sums[name] = self._sums.get(name, 0) + entries.sum()
        self._counts[name] = self._counts.get(name, 0) + entries.numel()

    def totals(self) -> Totals:
        """Return sums and counts as plain values."""
        return {name: (float(total), float(self._counts[name])) for name, total in self._sums.items()}


def means(totals: list[Totals]) -> dict[str, float]:
    """Return the mean of each number over all ranks that reported it."""
    names = dict.fromkeys(name for one in totals for name in one)
    found = {name: [one[name] for one in totals if name in one] for name in names}
    counts = {name: sum(count for _, count in one) for name, one in found.items()}
    return {name: sum(total for total, _ in one) / counts[name] for name, one in found.items() if counts[name]}


_LISTENING: Final = ContextVar[Numbers | None]("listening", default=None)

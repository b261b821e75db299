"""Data workers, and the budget of samples that may be bad."""

import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast, final

import torch
from torch.utils.data import DataLoader

from mmx.data.order import Order
from mmx.data.views import Bad, Loaded, Reader, collate
from mmx.errors import DataError


def stream(reader: Reader, order: Order, start: int, steps: int, workers: int, pin: bool) -> Iterator[Loaded]:
    """Yield the samples of steps ``start`` to ``steps``, excluded, in order, whatever the number of workers.

    The loader draws its base seed from a generator of its own: the global one must not move when a run resumes.
    """
    loader: DataLoader[Any] = DataLoader(
        cast("Any", reader),
        batch_sampler=cast("Any", _Tickets(order, start, steps)),
        num_workers=workers,
        collate_fn=collate,
        generator=torch.Generator().manual_seed(0),
        pin_memory=pin,
        worker_init_fn=_quiet if workers else None,
    )
    yield from loader


@final
@dataclass(frozen=True)
class _Tickets:
    order: Order
    start: int
    steps: int

    def __iter__(self) -> Iterator[Any]:
        return self.order.tickets(self.start, self.steps)

    def __len__(self) -> int:
        return self.steps - self.start


def _quiet(worker: int) -> None:
    """Leave signals to the main process: it saves and then ends its workers."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)


@final
class Budget:
    """Counts bad samples, says each one once, and stops the run when an epoch has too many."""

    def __init__(self, share: float, samples: int, say: Callable[[str], None]) -> None:
        self.allowed = int(share * samples)
        self.total = 0
        self._share = share
        self._epoch = 0
        self._in_epoch: list[Bad] = []
        self._said: set[str] = set()
        self._say = say

    def spend(self, bad: Sequence[Bad], epoch: int) -> None:
        """Count the bad samples of a step.

        Raises:
            DataError: this epoch has more of them than the recipe allows.
        """
        if epoch != self._epoch:
            self._epoch, self._in_epoch = epoch, []
        self._in_epoch += bad
        self.total += len(bad)
        for sample in bad:
            if sample.key not in self._said:
                self._said.add(sample.key)
                self._say(f"skipped {sample.key}: {sample.reason}")
        if len(self._in_epoch) > self.allowed:
            first = "; ".join(f"{sample.key}: {sample.reason}" for sample in self._in_epoch[:3])
            raise DataError(
                f"{len(self._in_epoch)} bad samples in epoch {epoch}, more than the {self.allowed} that "
                f"data.bad_samples = {self._share} allows. The first: {first}. Mend the data, or raise data.bad_samples"
            )

"""One pass over a dataset: read in data workers, shared out over the data-parallel ranks, a few pieces in memory at a time."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from typing import Final, final

from mmx.data.budget import Budget
from mmx.data.loader import stream
from mmx.data.steps import InOrder
from mmx.data.views import Skipped
from mmx.errors import MmxError
from mmx.evaluate.samples import SampleReader, Samples
from mmx.parts.dataset import Dataset
from mmx.parts.evaluator import EvalModel, Table

PIECE: Final = 32
"""Pictures of one piece on a CPU: larger ones leave its caches, and overlap less with reading."""


@final
class EncodePass:
    """Yields this rank's samples once each, in the dataset's order; the ranks' samples together are all.

    Bad samples are left out, said by name and counted in ``bad``, which is the same on all ranks. Iterate to the end:
    before each piece all processes tell each other what they read, so that all fail where one does.

    Memory: each data worker has two pieces of at most ``batch`` pictures on their way.

    Args:
        subject: the model's preprocessing, ranks and data workers.
        dataset: what is read.
        batch: samples of a piece, at most.
        images: whether pictures are read; a sample without one is bad then.
        captions: whether captions are read; a sample without one is bad then.
        limit: how many samples are read, from the first; all if not given.
    """

    def __init__(
        self,
        subject: EvalModel,
        dataset: Dataset,
        batch: int,
        images: bool = True,
        captions: bool = False,
        limit: int | None = None,
    ) -> None:
        self.subject = subject
        self.count = len(dataset) if limit is None else min(limit, len(dataset))
        self.bad: list[Skipped] = []
        self._size = min(batch, PIECE) if subject.model.mean.device.type == "cpu" else batch
        self._reader = SampleReader(dataset, subject.preprocess if images else None, captions)

    def __iter__(self) -> Generator[Samples]:
        """Read.

        Raises:
            DataError: the dataset cannot be read, or too many samples are bad.
        """
        device, feed = self.subject.model.mean.device, self.subject.feed
        order = InOrder(self.subject.share(self.count), self._size)
        budget = Budget(feed.bad_samples, self.count, feed.say, where="what is evaluated")
        pieces = stream(self._reader, order, 0, order.steps, feed.workers, device.type == "cuda", timeout=feed.timeout)
        self.bad = []
        with closing(pieces):
            for place in range(self._pieces):
                piece, error = self._next(pieces) if place < order.steps else (None, None)
                bad = self._agreed(piece, error)
                self.bad += bad
                budget.spend(bad, 0, min(self.count, (place + 1) * self._size * self._ranks))
                if piece is not None and piece.keys:
                    yield piece.to(device)

    def bad_table(self) -> dict[str, Table]:
        """Return a table of the samples that could not be used, by its name; empty where there are none."""
        rows = [(sample.key, sample.reason) for sample in self.bad]
        return {"bad_samples": Table(("sample", "reason"), rows, "left out, and why")} if rows else {}

    @property
    def _ranks(self) -> int:
        return 1 if self.subject.group is None else self.subject.group.size

    @property
    def _pieces(self) -> int:
        """How many pieces the largest share has; every rank takes part in so many rounds."""
        return math.ceil(math.ceil(self.count / self._ranks) / self._size)

    def _next(self, pieces: Iterator[Samples]) -> tuple[Samples | None, MmxError | None]:
        try:
            return next(pieces), None
        except MmxError as error:
            return None, error

    def _agreed(self, piece: Samples | None, error: MmxError | None) -> Sequence[Skipped]:
        """Return the bad samples of all ranks, in their order; raise what any process failed with."""
        rank = 0 if self.subject.group is None else self.subject.group.rank
        told = self.subject.feed.everyone((rank, () if piece is None else tuple(piece.bad), error))
        failed = next((one for _, _, one in told if one is not None), None)
        if failed is not None:
            raise error or failed
        by_rank = {rank: bad for rank, bad, _ in told}  # processes of one rank read the same
        return [sample for rank in sorted(by_rank) for sample in by_rank[rank]]

"""The budget of samples that may be bad."""

from collections.abc import Callable, Sequence
from typing import Final, final

from mmx.data.views import Skipped
from mmx.errors import DataError

_JUDGED: Final = 10_000
"""Samples of an epoch by which it is judged, at least: among the first few, one is a large share."""


@final
class Budget:
    """Counts bad samples, says each one once, and stops the run when an epoch has too many."""

    def __init__(
        self,
        share: float,
        samples: int,
        say: Callable[[str], None],
        epoch: int = 0,
        total: int = 0,
        in_epoch: int = 0,
        where: str = "",
    ) -> None:
        self.total = total
        self.in_epoch = in_epoch
        self._share = share
        self._samples = samples
        self._epoch = epoch
        self._before = total, in_epoch
        self._shown: list[Skipped] = []
        self._said: set[str] = set()
        self._say = say
        self._where = where
        """What is read, if it is not an epoch."""

    def spend(self, bad: Sequence[Skipped], epoch: int, read: int) -> None:
        """Count the bad samples of a step; ``read`` are all samples of the epoch up to here.

        Raises:
            DataError: this epoch has more of them than the recipe allows of what was read, or of the first 10,000.
        """
        self._before = self.total, self.in_epoch
        seen = min(self._samples, max(_JUDGED, read))
        allowed = int(self._share * seen)
        if epoch != self._epoch:
            self._epoch, self.in_epoch, self._shown = epoch, 0, []
        truly = [sample for sample in bad if sample.counts]
        self._shown += truly[: max(0, 3 - len(self._shown))]
        self.in_epoch += len(truly)
        self.total += len(bad)
        for sample in bad:
            if sample.key not in self._said:
                self._said.add(sample.key)
                self._say(f"skipped {sample.key}: {sample.reason}")
        if self.in_epoch > allowed:
            many = self.in_epoch
            self.undo()
            advice = "Mend the data, or go on with a larger share, such as --set data.bad_samples=0.1"
            if many >= read:
                advice = "No sample was good so far: look at the dataset's options, or mend the data"
            raise DataError(
                f"bad samples in {self._where or f'epoch {epoch}'}: {many} so far, more than the {allowed} of {seen} "
                f"that data.bad_samples = {self._share} allows. Among them: {named(self._shown)}. {advice}"
            )

    def undo(self) -> None:
        """Forget the step that was counted last, which is not taken."""
        self.total, self.in_epoch = self._before


def named(bad: Sequence[Skipped]) -> str:
    """Return up to three bad samples with their reasons."""
    return "; ".join(f"{sample.key}: {sample.reason}" for sample in bad[:3])

"""How many samples of each source were trained on and skipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, final

from mmx.data.views import Skipped
from mmx.parts.events import Counts

ALONE: Final = "train"
"""The name of the only source."""


@final
class Tally:
    """Counts since the last record; a resumed run goes on with what was counted before its checkpoint.

    Args:
        sources: names of the sources that are mixed, which keys of samples begin with; empty if there is one.
        before: what ``state`` returned.
    """

    def __init__(self, sources: Sequence[str], before: Mapping[str, Sequence[int]]) -> None:
        self._mixed = bool(sources)
        self._trained = dict.fromkeys(sources or (ALONE,), 0)
        self._skipped = dict(self._trained)
        for name, (trained, skipped) in before.items():
            self._trained[name], self._skipped[name] = trained, skipped

    def step(self, keys: Sequence[str], bad: Sequence[Skipped]) -> None:
        """Count the samples of a step."""
        for key in keys:
            self._trained[self._source(key)] += 1
        for sample in bad:
            self._skipped[self._source(sample.key)] += 1

    def record(self) -> dict[str, Counts]:
        """Return the counts since the last call."""
        found = {name: Counts(trained, self._skipped[name]) for name, trained in self._trained.items()}
        self._trained, self._skipped = dict.fromkeys(found, 0), dict.fromkeys(found, 0)
        return found

    def state(self) -> dict[str, list[int]]:
        """Return the counts since the last record, as plain values."""
        return {name: [trained, self._skipped[name]] for name, trained in self._trained.items()}

    def _source(self, key: str) -> str:
        return key.partition("/")[0] if self._mixed else ALONE

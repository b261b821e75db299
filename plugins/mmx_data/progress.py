"""Who is told how far the work is."""

from __future__ import annotations


class Progress:
    """Is told how far the work is; this one says nothing."""

    def start(self, title: str, total: int, done: int = 0) -> None:
        """Take note of what begins, and of how many samples it has."""

    def tick(self, samples: int) -> None:
        """Take note of samples that are done."""

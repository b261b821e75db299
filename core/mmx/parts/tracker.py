"""The contract of trackers: they watch a run and write down what they see."""

from __future__ import annotations

from abc import ABC, abstractmethod


class Tracker(ABC):
    """Watches one run through the hooks of ``mmx.plugin.hookspecs`` that it implements with ``@mmx.hookimpl``.

    Built as ``Class(config)`` and registered for that run only. An exception in a hook never stops the run.
    """

    @abstractmethod
    def close(self) -> None:
        """Write what is still held back. Called once, also after a failure."""

"""What goes into a file, made piece by piece while it is written. Never imports torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mmx.checkpoint.atomic import Bytes


@dataclass(frozen=True)
class Content:
    """The content of a file that is never whole in memory."""

    size: int
    """Bytes, known before the first is made."""
    pieces: Callable[[], Iterable[Bytes]]
    """Makes them; called once."""

    @classmethod
    def of(cls, data: bytes) -> Content:
        """Return content that is there already."""
        return cls(len(data), lambda: [data])

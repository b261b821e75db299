"""How an evaluation gets its samples: in which processes they are read, and what becomes of those that cannot be used."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final


def alone(value: Any) -> list[Any]:
    """Return what every process gave, where there is one."""
    return [value]


def silent(text: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Feed:
    """What an encode pass reads with: the recipe's data workers and its budget of bad samples."""

    workers: int = 0
    """Processes that read and decode; 0 reads in this one."""
    timeout: float = math.inf
    """Seconds that one of them may need for a sample."""
    bad_samples: float = 1.0
    """Share of the samples that may be unusable before the evaluation fails."""
    say: Callable[[str], None] = silent
    """Is told the name of each bad sample, and why it is left out."""
    everyone: Callable[[Any], list[Any]] = alone
    """Returns what every process of the run gave, in their order, as :meth:`mmx.parts.engine.Engine.everyone`."""


PLAIN: Final = Feed()
"""Reads in this process, and takes any number of bad samples."""

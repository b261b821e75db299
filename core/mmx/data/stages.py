"""What a data worker spends its time on, so that whoever waits for data learns which stage to mend."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Final

STAGES: Final[tuple[str, ...]] = ("read", "decode", "images", "texts", "collate")
"""Reading bytes, decoding pictures, the views of images and of texts, stacking rows."""
_spent: Final[dict[str, float]] = dict.fromkeys(STAGES, 0.0)


@contextmanager
def stage(name: str) -> Generator[None]:
    """Count what happens inside, in this process, as one of ``STAGES``."""
    before = time.perf_counter()
    try:
        yield
    finally:
        _spent[name] += time.perf_counter() - before


def taken() -> Mapping[str, float]:
    """Return the seconds of each stage since the last call."""
    found = dict(_spent)
    _spent.update(dict.fromkeys(STAGES, 0.0))
    return found

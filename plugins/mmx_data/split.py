"""Which part a sample belongs to: a function of the seed and of its key, picture or caption, and of nothing else."""

from __future__ import annotations

import hashlib
import math
import re
from array import array
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Final, Literal

from mmx.data.order import seed_of
from mmx.data.stored import StoredDataset
from mmx.errors import RecipeError
from mmx.parts.dataset import Raw
from mmx_data.plan import Part
from mmx_data.pool import Tick, each
from mmx_data.progress import Progress
from mmx_data.reading import Unread, samples
from mmx_data.seen import ALONE

By = Literal["key", "picture", "caption"]
_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
_CHUNK: Final = 1024
"""Samples that a process reads at a time."""


def read_parts(text: str) -> dict[str, float]:
    """Read ``train=0.98,val=0.02``.

    Raises:
        RecipeError: it is not that, or the shares do not come to 1.
    """
    parts: dict[str, float] = {}
    for item in text.split(","):
        name, _, share = (word.strip() for word in item.partition("="))
        try:
            number = float(share)
        except ValueError:
            number = math.nan
        if not _NAME.fullmatch(name) or name in parts or not 0 < number <= 1:
            raise RecipeError(f"--parts {text[:80]}: should be names with shares, such as train=0.98,val=0.02")
        parts[name] = number
    if abs(sum(parts.values()) - 1) > 1e-6:
        raise RecipeError(f"--parts {text[:80]}: the shares come to {sum(parts.values()):.6g}; they should come to 1")
    return parts


def assigned(
    dataset: StoredDataset, shares: Mapping[str, float], by: By, seed: int, workers: int, progress: Progress
) -> list[Part]:
    """Return the samples of each part, in the dataset's order, with the pattern that names its shards."""
    progress.start("parts", len(dataset))
    tasks = [_Chunk(range(start, min(start + _CHUNK, len(dataset))), by) for start in range(0, len(dataset), _CHUNK)]
    bounds = list(accumulate(shares.values()))[:-1]
    found: dict[int, array[int]] = {}
    for place, marks in each(dataset, _marks, tasks, 1 if by == "key" else workers, progress.tick, ALONE):
        found[place] = array("B", (bisect_right(bounds, seed_of("split", seed, mark) / 2**63) for mark in marks))
    members = [array("q") for _ in shares]
    for place, task in enumerate(tasks):
        for index, part in zip(task.indices, found[place], strict=True):
            members[part].append(index)
    return [Part(f"{name}-{{}}.tar", indices) for name, indices in zip(shares, members, strict=True)]


@dataclass(frozen=True)
class _Chunk:
    indices: range
    by: By


def _marks(dataset: StoredDataset, chunk: _Chunk, tick: Tick) -> list[str]:
    """Return what decides on each sample. One that cannot be read is decided by its key; it is skipped later."""
    if chunk.by == "key":
        tick(len(chunk.indices))
        return [dataset.key(index) for index in chunk.indices]
    marks: list[str] = []
    for found in samples(dataset, chunk.indices, partial(_mark, chunk.by)):
        marks.append(found.bad.key if isinstance(found, Unread) else found)
        tick(1)
    return marks


def _mark(by: By, index: int, raw: Raw) -> str:
    return hashlib.sha256(raw.image).hexdigest() if by == "picture" else raw.texts[0]

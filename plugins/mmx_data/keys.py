"""Keys that are safe and unique in a tar: what webdataset would cut, skip or mix is changed, and said."""

from __future__ import annotations

import hashlib
import re
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from mmx.data.stored import StoredDataset

_SKIPPED: Final = re.compile(r"__[^/]*__($|/)")
"""Names that webdataset passes over as its own."""
_SHOWN: Final = 3


@dataclass(frozen=True)
class Keys:
    """What the keys of a dataset are in shards."""

    renamed: Mapping[int, str]
    """Keys, by index, that would be the same as another one's."""
    changed: int
    """How many are not the dataset's own."""
    examples: Sequence[tuple[str, str]]
    """The first of them, before and after."""
    digest: str
    """Depends on all of the dataset's keys and on their order."""

    def among(self, indices: Sequence[int]) -> dict[int, str]:
        """Return those of ``renamed`` that are among some samples."""
        return {index: self.renamed[index] for index in indices if index in self.renamed} if self.renamed else {}


def safe(key: str) -> str:
    """Return a key without what is not safe in the name of a tar's member.

    No leading ``/``, no ``.`` or ``..``, nothing that is not printable; and no dots behind the last ``/``, since
    webdataset cuts a name at the first one.
    """
    text = "".join(letter if letter.isprintable() else "_" for letter in key)
    *folders, name = [part for part in text.split("/") if part not in ("", ".", "..")] or ["_"]
    joined = "/".join([*folders, name.replace(".", "_")])
    return f"x{joined}" if _SKIPPED.match(joined) else joined


def keys_of(dataset: StoredDataset, tick: Callable[[int], None]) -> Keys:
    """Look at every key once; what repeats gets a number behind it. Holds 8 bytes for each."""
    marks, digest = array("Q"), hashlib.sha256()
    changed, examples = 0, list[tuple[str, str]]()
    for index in range(len(dataset)):
        key = dataset.key(index)
        name = safe(key)
        digest.update(key.encode("utf-8", "surrogatepass") + b"\0")
        marks.append(_mark(name))
        if name != key:
            changed += 1
            examples += [(key, name)] if len(examples) < _SHOWN else []
        tick(1)
    renamed = _numbered(dataset, np.frombuffer(marks, np.uint64) if marks else np.zeros(0, np.uint64))
    again = [index for index in renamed if safe(dataset.key(index)) == dataset.key(index)]
    examples += [(dataset.key(index), renamed[index]) for index in again[: _SHOWN - len(examples)]]
    return Keys(renamed, changed + len(again), examples, digest.hexdigest())


def _mark(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big")


def _numbered(dataset: StoredDataset, marks: np.ndarray) -> dict[int, str]:
    """Give numbers to all but the first of those that are the same."""
    _, firsts = np.unique(marks, return_index=True)
    if len(firsts) == len(marks):
        return {}
    repeated = np.setdiff1d(np.arange(len(marks)), firsts)
    taken, renamed, last = set[int](marks.tolist()), dict[int, str](), dict[str, int]()
    for index in repeated.tolist():
        name = safe(dataset.key(index))
        last[name] = last.get(name, 1) + 1
        while _mark(f"{name}_{last[name]}") in taken:
            last[name] += 1
        renamed[index] = f"{name}_{last[name]}"
        taken.add(_mark(renamed[index]))
    return renamed

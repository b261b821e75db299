"""The ledger: which samples each step was trained on. It shows that a resumed run saw what an unbroken one sees."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from mmx.errors import CheckpointError
from mmx.runs.lines import Cut, JsonLines, read_lines


@dataclass(frozen=True)
class Entry:
    """One step of the ledger."""

    step: int
    epoch: int
    start: int
    """Position in the epoch of the step's first sample."""
    rows: int
    digest: str
    """sha256 of the keys in their order, joined by newlines."""
    skipped: tuple[str, ...]
    """Keys of bad samples that were passed over."""
    loss: float
    """Bit for bit: it is kept as a hexadecimal number."""


class Ledger:
    """Writes one line a step, before the checkpoint of that step is saved."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines = JsonLines(path)

    def append(
        self, step: int, epoch: int, start: int, rows: int, keys: Sequence[str], skipped: Sequence[str], loss: float
    ) -> None:
        """Write one step; it outlives the process at once, and a power cut after the next ``sync``."""
        self._lines.append(
            {
                "step": step,
                "epoch": epoch,
                "start": start,
                "rows": rows,
                "digest": digest(keys),
                "skipped": list(skipped),
                "loss": float(loss).hex(),
            }
        )

    def sync(self) -> None:
        """Wait until every line is on the disk. Call it before a checkpoint is saved."""
        self._lines.sync()

    def truncate(self, step: int) -> Cut:
        """Remove the lines after a step, and one that a write was interrupted in."""
        return self._lines.cut(step)

    def close(self) -> None:
        """Close the file. The next line opens it again."""
        self._lines.close()


def read(path: Path) -> list[Entry]:
    """Return the ledger's entries; one that a write was interrupted in is left out.

    Raises:
        CheckpointError: a line is not an entry, or steps are missing or there twice.
    """
    entries = [_entry(path, place, row) for place, row in enumerate(read_lines(path), start=1)]
    for before, after in pairwise(entries):
        if after.step != before.step + 1:
            raise CheckpointError(f"{path}: step {before.step} is followed by step {after.step}; the file was changed")
    return entries


def digest(keys: Sequence[str]) -> str:
    """Return the sha256 of keys in their order."""
    return hashlib.sha256("\n".join(keys).encode("utf-8", "backslashreplace")).hexdigest()


def _entry(path: Path, place: int, row: dict[str, object]) -> Entry:
    try:
        fields = {**row, "skipped": tuple(row["skipped"]), "loss": float.fromhex(str(row["loss"]))}  # pyright: ignore
        return Entry(**fields)  # pyright: ignore
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}, row {place}: not a line of a ledger ({error})") from error

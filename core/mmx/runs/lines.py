"""Files of JSON lines: appended to while a run goes on, cut back when it resumes. Never imports torch."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from mmx.checkpoint.atomic import replace, write_all
from mmx.errors import CheckpointError


@dataclass(frozen=True)
class Cut:
    """What was cut off a file."""

    later: int = 0
    """Rows of steps after the one the run goes on from."""
    unreadable: int = 0
    """Lines that are not JSON: the last one if a write was interrupted."""


class JsonLines:
    """One file of JSON lines with one writer. A row is whole or not there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None

    def append(self, row: Mapping[str, Any]) -> None:
        """Write one row; it outlives the process at once, and a power cut after the next ``sync``.

        Numbers that are not finite become null, since JSON has none.

        Raises:
            CheckpointError: it cannot be written; nothing of the row is left in the file.
        """
        data = (json.dumps(_finite(row), ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
        try:
            handle = self._open()
            end = os.fstat(handle).st_size
            try:
                write_all(handle, data)
            except BaseException:
                os.ftruncate(handle, end)
                raise
        except OSError as error:
            raise CheckpointError(f"cannot write to {self.path}: {error.strerror}; mend this, then resume") from error

    def sync(self) -> None:
        """Wait until every row is on the disk."""
        if self._handle is not None:
            try:
                os.fsync(self._handle)
            except OSError as error:
                raise CheckpointError(f"cannot write {self.path} to the disk: {error.strerror}") from error

    def close(self) -> None:
        """Close the file. The next row opens it again."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def cut(self, step: int) -> Cut:
        """Remove the rows of later steps and what is no row: the file reads as if the run had just got to this step."""
        self.close()
        later = sum(_later(row, step) for _, row in _scan(self.path))
        unreadable = sum(row is None for _, row in _scan(self.path))
        if later or unreadable:
            kept = (line for line, row in _scan(self.path) if row is not None and not _later(row, step))
            try:
                replace(self.path, kept)
            except OSError as error:
                raise CheckpointError(f"cannot rewrite {self.path}: {error.strerror}; nothing was changed") from error
        return Cut(later, unreadable)

    def _open(self) -> int:
        if self._handle is None:
            self._handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        return self._handle


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file; one that a write was interrupted in is left out. No file has no rows."""
    return [row for _, row in _scan(path) if row is not None]


def _scan(path: Path) -> Iterator[tuple[bytes, dict[str, Any] | None]]:
    try:
        with path.open("rb") as file:
            for line in file:
                yield line, _parse(line)
    except FileNotFoundError:
        return
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from error


def _parse(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return cast(dict[str, Any], row) if isinstance(row, dict) else None


def _later(row: dict[str, Any] | None, step: int) -> bool:
    return row is not None and isinstance(row.get("step"), int) and row["step"] > step


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in cast(Mapping[Any, Any], value).items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in cast(list[Any], value)]
    return value

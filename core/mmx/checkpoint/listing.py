"""Which checkpoints a run has, told from the folder's names alone. Never imports torch."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mmx.errors import CheckpointError

REJECTED: Final = "rejected-"
"""Prefix of checkpoints that are not used any more but were not removed either."""
ASIDE: Final = ".tmp-"
"""Prefix of folders that are being written or removed."""
_NAME: Final = re.compile(r"step-(\d{8,18})(?:\.(\d{1,9}))?", re.ASCII)


@dataclass(frozen=True, order=True)
class Candidate:
    """A folder that looks like a checkpoint; whether it is one is for ``verify`` to say."""

    step: int
    revision: int
    """0, or 1, 2, ... for a step that was saved again."""
    path: Path


def candidates(folder: Path) -> list[Candidate]:
    """Return what looks like a checkpoint, newest first."""
    found = [candidate(folder / name) for name in names(folder)]
    return sorted((one for one in found if one is not None), reverse=True)


def names(folder: Path) -> list[str]:
    """Return every name in a folder; none if it does not exist.

    Raises:
        CheckpointError: it cannot be read.
    """
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise CheckpointError(f"cannot list the checkpoints in {folder}: {error.strerror}") from error


def free_path(folder: Path, step: int) -> Path:
    """Return the path for a new checkpoint of a step. What is there already is never overwritten."""
    path, revision = folder / f"step-{step:08d}", 0
    while os.path.lexists(path):
        revision += 1
        path = folder / f"step-{step:08d}.{revision}"
    return path


def candidate(path: Path) -> Candidate | None:
    """Return what a folder's name says, None if it is not the name of a checkpoint."""
    match = _NAME.fullmatch(path.name)
    return Candidate(int(match[1]), int(match[2] or 0), path) if match else None

"""Reading a checkpoint folder without trusting it. Never imports torch."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Generator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from mmx.checkpoint import manifest
from mmx.checkpoint.atomic import open_regular
from mmx.checkpoint.listing import candidate
from mmx.checkpoint.manifest import InvalidCheckpointError, Manifest, Record


def read_manifest(path: Path) -> Manifest:
    """Read the manifest of a checkpoint folder.

    Raises:
        InvalidCheckpointError: the folder or its manifest is missing, changed, or of a newer format.
    """
    try:
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            raise InvalidCheckpointError(path, "it is not a folder")
        with os.fdopen(open_regular(path / manifest.NAME), "rb") as file:
            data = file.read(manifest.LIMIT + 1)
    except OSError as error:
        raise InvalidCheckpointError(path, _reason(error, manifest.NAME)) from error
    try:
        found = manifest.decode(data)
    except ValueError as error:
        raise InvalidCheckpointError(path, str(error)) from None
    named = candidate(path)
    if named is not None and named.step != found.step:
        raise InvalidCheckpointError(path, f"it was renamed: its manifest is of step {found.step}")
    return found


def check(path: Path, known: Set[str] = frozenset()) -> Manifest:
    """Compare every file with the manifest, holding none in memory.

    Args:
        path: the checkpoint's folder.
        known: the sha256 of files in ``frozen/`` that were compared before; of those, only the size is.

    Raises:
        InvalidCheckpointError: with the reason.
    """
    found = read_manifest(path)
    for one in files_of(path, found):
        if one.name in found.files or one.record.sha256 not in known:
            _check(one)
        else:
            with opened(one):
                pass
    return found


@dataclass(frozen=True)
class CheckpointFile:
    """A file that belongs to a checkpoint, in its folder or in ``frozen/``."""

    checkpoint: Path
    name: str
    """From the checkpoint's folder, or from the run's."""
    group: str
    """Of the tensors in it."""
    path: Path
    record: Record

    def invalid(self, reason: str) -> InvalidCheckpointError:
        """Return the error that names the file."""
        return InvalidCheckpointError(self.checkpoint, f"{self.name} {reason}")

    def compare(self, sha256: str) -> None:
        """Compare what was read.

        Raises:
            InvalidCheckpointError: it is something else.
        """
        if sha256 != self.record.sha256:
            raise self.invalid("was changed: its sha256 does not match the manifest")


def files_of(path: Path, found: Manifest) -> list[CheckpointFile]:
    """Return every file that a manifest names."""
    run = path.parent.parent
    return [
        CheckpointFile(path, name, name.partition(".")[0], path / name, record) for name, record in found.files.items()
    ] + [
        CheckpointFile(path, name := f"frozen/{record.sha256}.safetensors", group, run / name, record)
        for group, record in found.frozen.items()
    ]


@contextmanager
def opened(one: CheckpointFile) -> Generator[FileIO]:
    """Open a file that has the size it should have.

    Raises:
        InvalidCheckpointError: it has not, or cannot be read.
    """
    try:
        with os.fdopen(open_regular(one.path), "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            if size != one.record.size:
                how = "was cut short" if size < one.record.size else "has grown"
                raise one.invalid(f"{how}: {size} bytes, {one.record.size} were written")
            yield file
    except OSError as error:
        raise InvalidCheckpointError(one.checkpoint, _reason(error, one.name)) from error


def read(one: CheckpointFile) -> bytes:
    """Return the content of a small file: the very bytes whose sha256 was compared."""
    with opened(one) as file:
        data = file.read(one.record.size)
    one.compare(hashlib.sha256(data).hexdigest())
    return data


def _check(one: CheckpointFile) -> None:
    with opened(one) as file:
        _forget(file.fileno())
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    one.compare(digest)


def _forget(handle: int) -> None:
    # What was just written is still in memory: drop it, so that the disk is read and not the memory.
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)


def _reason(error: OSError, name: str) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{name} is missing"
    return f"{name} cannot be read: {error.strerror}"

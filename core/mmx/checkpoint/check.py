"""Reading a checkpoint folder without trusting it. Never imports torch."""

from __future__ import annotations

import hashlib
import os
import stat
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


def read_files(path: Path) -> tuple[Manifest, dict[str, bytes]]:
    """Return the manifest and the content of its files: the very bytes whose sha256 was compared.

    Files that the manifest does not name are never opened.
    """
    found = read_manifest(path)
    return found, {name: _read(path, name, record) for name, record in found.files.items()}


def check(path: Path) -> Manifest:
    """Compare every file with the manifest, holding none in memory.

    Raises:
        InvalidCheckpointError: with the reason.
    """
    found = read_manifest(path)
    for name, record in found.files.items():
        _check(path, name, record)
    return found


def _read(path: Path, name: str, record: Record) -> bytes:
    try:
        with os.fdopen(open_regular(path / name), "rb") as file:
            _compare_size(path, name, record, os.fstat(file.fileno()).st_size)
            data = file.read(record.size + 1)
    except OSError as error:
        raise InvalidCheckpointError(path, _reason(error, name)) from error
    _compare_size(path, name, record, len(data))
    _compare(path, name, record, hashlib.sha256(data).hexdigest())
    return data


def _check(path: Path, name: str, record: Record) -> None:
    try:
        with os.fdopen(open_regular(path / name), "rb", buffering=0) as file:
            _compare_size(path, name, record, os.fstat(file.fileno()).st_size)
            _forget(file.fileno())
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InvalidCheckpointError(path, _reason(error, name)) from error
    _compare(path, name, record, digest)


def _forget(handle: int) -> None:
    # What was just written is still in memory: drop it, so that the disk is read and not the memory.
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)


def _compare_size(path: Path, name: str, record: Record, size: int) -> None:
    if size != record.size:
        how = "was cut short" if size < record.size else "has grown"
        raise InvalidCheckpointError(path, f"{name} {how}: {size} bytes, {record.size} were written")


def _compare(path: Path, name: str, record: Record, digest: str) -> None:
    if digest != record.sha256:
        raise InvalidCheckpointError(path, f"{name} was changed: its sha256 does not match the manifest")


def _reason(error: OSError, name: str) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{name} is missing"
    return f"{name} cannot be read: {error.strerror}"

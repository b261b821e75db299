"""A checkpoint, verified and read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mmx.checkpoint import plain
from mmx.checkpoint.check import CheckpointFile, files_of, opened, read, read_manifest
from mmx.checkpoint.manifest import Manifest

if TYPE_CHECKING:
    from torch import Tensor

STATE: Final = "state.json"


@dataclass(frozen=True)
class CheckpointData:
    """A checkpoint that was verified and read."""

    path: Path
    manifest: Manifest
    """Its step, score, and the sha256 of the recipe it was made with."""
    tensors: Mapping[str, Mapping[str, Tensor]]
    """Tensors by group and name; each is read, into the CPU's memory, when it is asked for."""
    values: dict[str, Any]
    """Plain values."""


def read_checkpoint(path: Path) -> CheckpointData:
    """Verify and read the checkpoint in a folder.

    Raises:
        InvalidCheckpointError: it is not whole and unchanged.
    """
    from mmx.checkpoint.stored import joined

    described = read_manifest(path)
    parts: dict[str, list[Mapping[str, Tensor]]] = {}
    values: dict[str, Any] = {}
    for one in files_of(path, described):
        if one.name == STATE:
            try:
                values = plain.load(read(one))
            except ValueError as error:
                raise one.invalid(f"cannot be read: {error}") from error
        else:
            parts.setdefault(one.group, []).append(_tensors(one))
    tensors = {group: joined(*(("", part) for part in found)) for group, found in parts.items()}
    return CheckpointData(path, described, tensors, values)


def _tensors(one: CheckpointFile) -> Mapping[str, Tensor]:
    from mmx.checkpoint.stored import open_tensors

    with opened(one):
        written, found = open_tensors(one.path)
    one.compare(written.sha256)
    if isinstance(found, str):
        raise one.invalid(f"cannot be read: {found}")
    return found

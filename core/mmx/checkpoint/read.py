"""A checkpoint, verified and read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mmx.checkpoint import plain
from mmx.checkpoint.check import read_files
from mmx.checkpoint.manifest import InvalidCheckpointError, Manifest

if TYPE_CHECKING:
    from torch import Tensor

STATE: Final = "state.json"


@dataclass(frozen=True)
class CheckpointData:
    """A checkpoint that was verified and read."""

    path: Path
    manifest: Manifest
    """Its step, score, and the sha256 of the recipe it was made with."""
    tensors: dict[str, dict[str, Tensor]]
    """Tensors on the CPU, by group and name."""
    values: dict[str, Any]
    """Plain values."""


def read_checkpoint(path: Path) -> CheckpointData:
    """Verify and read the checkpoint in a folder.

    Raises:
        InvalidCheckpointError: it is not whole and unchanged.
    """
    from mmx.checkpoint.tensors import unpack

    described, files = read_files(path)
    tensors: dict[str, dict[str, Tensor]] = {}
    values: dict[str, Any] = {}
    for name, data in files.items():
        try:
            if name == STATE:
                values = plain.load(data)
            else:
                tensors[name.removesuffix(".safetensors")] = unpack(data)
        except ValueError as error:
            raise InvalidCheckpointError(path, f"{name} cannot be read: {error}") from error
    return CheckpointData(path, described, tensors, values)

"""The folder ``frozen/`` of a run: tensors that are never trained, once each, named by their sha256. No torch.

A checkpoint refers to them in its manifest. A file stays as long as a checkpoint refers to it.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from mmx.checkpoint.atomic import sync_folder, write_new
from mmx.checkpoint.check import read_manifest
from mmx.checkpoint.content import Content
from mmx.checkpoint.listing import ASIDE, names
from mmx.checkpoint.manifest import InvalidCheckpointError, Record

FOLDER: Final = "frozen"


def store(run: Path, contents: Mapping[str, Content]) -> dict[str, Record]:
    """Write each content under the name of its sha256, and return what was written. Equal content is one file.

    Raises:
        OSError: it cannot be written; what was there is as it was.
    """
    folder = run / FOLDER
    if contents and not folder.is_dir():
        folder.mkdir(mode=0o755)
        sync_folder(run)
    found: dict[str, Record] = {}
    for group, content in contents.items():
        aside = folder / f"{ASIDE}{uuid.uuid4().hex}"
        try:
            record = Record.written(write_new(aside, content.pieces()))
            os.replace(aside, folder / name_of(record))
        except BaseException:
            with suppress(OSError):
                os.unlink(aside)
            raise
        sync_folder(folder)
        found[group] = record
    return found


def name_of(record: Record) -> str:
    """Return the name of a file."""
    return f"{record.sha256}.safetensors"


def sweep(run: Path) -> None:
    """Remove what interrupted saves left behind."""
    for name in names(run / FOLDER):
        if name.startswith(ASIDE):
            with suppress(OSError):
                os.unlink(run / FOLDER / name)


def remove_unused(run: Path, checkpoints: Path) -> None:
    """Remove files that no checkpoint refers to; none where it is not known of a checkpoint what it refers to."""
    found = [name for name in names(run / FOLDER) if not name.startswith(ASIDE)]
    if not found:
        return
    used: set[str] = set()
    for name in names(checkpoints):
        if name.startswith(ASIDE):
            continue
        try:
            used |= {name_of(record) for record in read_manifest(checkpoints / name).frozen.values()}
        except InvalidCheckpointError:
            return
    for name in found:
        if name not in used:
            with suppress(OSError):
                os.unlink(run / FOLDER / name)

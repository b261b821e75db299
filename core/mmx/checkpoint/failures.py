"""What to say when a checkpoint cannot be saved."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Final

from mmx.checkpoint.manifest import InvalidCheckpointError
from mmx.wording import counted

_ADVICE: Final[dict[int, str]] = {
    errno.ENOSPC: "free space on this disk",
    errno.EDQUOT: "free space under your quota on this disk",
    errno.EROFS: "the disk is read-only: mount it writable, or copy the run to another disk",
    errno.EACCES: "give this user the right to write there",
    errno.EPERM: "give this user the right to write there",
    errno.ENOENT: "the run's folder was moved or removed: put it back",
    errno.EIO: "the disk has an error: copy the run to another disk",
}


def explain(error: OSError | InvalidCheckpointError, folder: Path, step: int, needed: int, newest: Path | None) -> str:
    """Return the whole message: what failed and where, bytes needed and free, what is still there, what to do."""
    if isinstance(error, InvalidCheckpointError):
        what, advice = f"it was written but reads back wrong: {error.reason}", _ADVICE[errno.EIO]
    else:
        what = f"{error.strerror} ({error.filename or folder})"
        advice = _ADVICE.get(error.errno or 0, "mend this")
    kept = f"the newest good checkpoint is there: {newest}" if newest else "there is no good checkpoint"
    return (
        f"the checkpoint of step {step} could not be saved to its end in {folder}: {what}\n"
        f"it needs {counted(needed, 'byte')}, {_free(folder)} are free; {kept}\n"
        f"{advice}, then go on with: mmx run --resume {folder.parent}"
    )


def _free(folder: Path) -> str:
    for path in (folder, *folder.parents):
        if os.path.exists(path):
            return f"{shutil.disk_usage(path).free:,}"
    return "unknown"

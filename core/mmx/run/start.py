"""From a prepared run to its processes: this one, or several on this machine. Never imports torch by itself."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from mmx import errors
from mmx.errors import MmxError
from mmx.run.child import Job
from mmx.run.place import find
from mmx.run.prepare import Prepared
from mmx.run.processes import supervise
from mmx.run.request import RunResult

Say = Callable[[str], None]


class ProcessError(Exception):
    """A process ended with an error that is not meant for users; the message has its text."""


def start(prepared: Prepared, say: Say) -> RunResult:
    """Train where a launcher put this process, or in as many processes of this machine as the recipe asks for.

    Raises:
        MmxError: the run could not start or could not go on; what was reached is in its folder.
    """
    count = 1
    if find(os.environ).size == 1 and not prepared.request.dry_run:
        count = prepared.recipe.parallel.processes_here()
    if count > 1:
        return _together(prepared, count, say)
    from mmx.run import api

    return api.run(prepared, say)


def _together(prepared: Prepared, count: int, say: Say) -> RunResult:
    request = prepared.request
    if prepared.folder is not None:  # what "auto" found
        request = replace(request, resume=str(prepared.folder.path))
    say(f"starting {count} processes")
    with TemporaryDirectory(prefix="mmx-job-") as folder:
        answer = Path(folder) / "answer.json"
        job = Path(folder) / "job.json"
        job.write_text(Job(request, answer).dump(), encoding="utf-8")
        sys.stdout.flush()
        code = supervise(
            [sys.executable, "-m", "mmx.run.child", str(job)],
            count,
            env=dict(os.environ),
            threads=max(1, len(os.sched_getaffinity(0)) // count),
            say=lambda text: print(text, file=sys.stderr),
        )
        return _answered(answer, code)


def _answered(path: Path, code: int) -> RunResult:
    """Return what the main process came to, or raise what it raised."""
    if not path.exists():
        return RunResult(code or 1, {"status": "failed"})
    found = json.loads(path.read_text(encoding="utf-8"))
    if "error" not in found:
        return RunResult(code, found["summary"])
    kind, text = getattr(errors, found["error"]["type"], None), found["error"]["message"]
    raise kind(text) if isinstance(kind, type) and issubclass(kind, MmxError) else ProcessError(text)

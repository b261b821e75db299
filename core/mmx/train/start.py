"""From a prepared run to its processes: this one, or several on this machine. Never imports torch by itself."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mmx import errors
from mmx.errors import LostProcessError, MmxError, RecipeError
from mmx.launch.processes import supervise
from mmx.launch.rank import find
from mmx.launch.threads import cpus, for_others
from mmx.runs.request import RunResult
from mmx.train.child import Job
from mmx.train.prepare import Prepared
from mmx.train.same_threads import threads_before

Say = Callable[[str], None]


class ProcessError(Exception):
    """A process ended with an error that is not meant for users; the message has its text."""


def start(prepared: Prepared, say: Say) -> RunResult:
    """Train where a launcher put this process, or in as many processes of this machine as the recipe asks for.

    Raises:
        RecipeError: a launcher started several processes for a dry run.
        MmxError: the run could not start or could not go on; what was reached is in its folder.
    """
    place = find(os.environ)
    if place.size > 1 and prepared.request.dry_run:
        raise RecipeError(f"{place.launcher} started {place.size} processes, but a dry run is one: start mmx alone")
    count = prepared.recipe.parallel.processes_here() if place.size == 1 else 1
    if count > 1 and not prepared.request.dry_run:
        _refuse_division(prepared)
        return _together(prepared, count, say)
    if count > 1:
        say(
            f"a dry run starts no processes: the run would be {count}, what follows is one with the whole model and batch"
        )
    from mmx.train import api

    return api.run(prepared, say)


def _refuse_division(prepared: Prepared) -> None:
    """Refuse a layout that the parts do not allow, before processes start and import for many seconds."""
    if not prepared.recipe.parallel.divides():
        return
    from mmx.train.build import refuse_division
    from mmx.train.findings import located

    try:
        refuse_division(prepared.recipe, prepared.plugins.registries)
    except RecipeError as error:
        raise located(error, prepared.recipe) from error


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
        told: list[str] = []
        code = supervise(
            [sys.executable, "-m", "mmx.train.child", str(job)],
            count,
            env=for_others(),
            threads=threads_before(prepared.folder, count) or max(1, cpus() // count),
            say=told.append,
        )
        return _answered(answer, code, "\n".join(told))


def _answered(path: Path, code: int, told: str) -> RunResult:
    """Return what the main process came to, or raise what it raised, unless another one's end was the reason."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    error = _raised(found["error"]["type"], found["error"]["message"]) if "error" in found else None
    lost = bool(told) and (not isinstance(error, MmxError) or isinstance(error, LostProcessError))
    if told:
        print(f"error: {told}" if lost else told, file=sys.stderr)
    if error is not None and not lost:
        raise error
    failed = {"error": {"type": ProcessError.__name__, "exit": code, "message": told}} if told else {"status": "failed"}
    return RunResult(code, found["summary"]) if "summary" in found else RunResult(code or 1, failed)


def _raised(name: str, message: str) -> Exception:
    kind: object = getattr(errors, name, None)
    return kind(message) if isinstance(kind, type) and issubclass(kind, MmxError) else ProcessError(message)

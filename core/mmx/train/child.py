"""One of the processes that ``mmx run`` starts: ``python -m mmx.train.child JOB``."""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmx.errors import MmxError
from mmx.launch.leaving import leaving
from mmx.launch.processes import end_with_parent
from mmx.launch.rank import LATER, find
from mmx.runs.request import RunRequest


@dataclass(frozen=True)
class Job:
    """What the processes do, and where the main one writes what came of it."""

    request: RunRequest
    answer: Path

    def dump(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def load(cls, text: str) -> Job:
        """Return what ``dump`` wrote."""
        table: dict[str, Any] = json.loads(text)
        request: dict[str, Any] = table["request"]
        request |= {name: tuple(request[name]) for name in ("overrides", "unset", "argv")}
        request |= {"plugins": tuple(map(Path, request["plugins"])), "out": Path(request["out"])}
        if request["recipe"] is not None:
            request["recipe"] = Path(request["recipe"])
        return cls(RunRequest(**request), Path(table["answer"]))


def main(path: str) -> int:
    """Do the job; return the exit code."""
    end_with_parent()
    job = Job.load(Path(path).read_text(encoding="utf-8"))
    try:
        return _done(job)
    except MmxError as error:
        return _failed(job, error, str(error), error.exit_code)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__}: {error}\n  at {frame.filename}:{frame.lineno}"
        return _failed(job, error, text, 1)


def _done(job: Job) -> int:
    from mmx.train.prepare import prepare

    say = voice(job.request, find(os.environ).rank)
    prepared = prepare(job.request, lambda text: None)  # who started the processes has said it
    from mmx.train import api

    result = api.run(prepared, say)
    _write(job, {"summary": result.summary})
    return result.exit_code


def _failed(job: Job, error: Exception, text: str, code: int) -> int:
    rank = find(os.environ).rank
    if os.environ.get("MMX_DEBUG") or (code == 1 and rank > 0):
        traceback.print_exc()
    if rank > 0:
        time.sleep(LATER)
        print(f"error: {text}", file=sys.stderr)
    _write(job, {"error": {"type": type(error).__name__, "message": text}})
    return code


def _write(job: Job, answer: dict[str, Any]) -> None:
    if find(os.environ).rank == 0:
        job.answer.write_text(json.dumps(answer), encoding="utf-8")


def voice(request: RunRequest, rank: int) -> Callable[[str], None]:
    """Return where a process says what it does: nowhere unless it is the main one."""
    if request.quiet or rank > 0:
        return lambda text: None
    return lambda text: print(text, file=sys.stderr if request.json else sys.stdout, flush=True)


if __name__ == "__main__":
    with leaving():
        sys.exit(main(sys.argv[1]))

"""Runs toy runs in processes of their own.

``driver.py run JOB`` runs one. ``driver.py serve`` reads jobs from its input and forks a process for each, so that
torch is imported once; every one leads a process group of its own. A job is a JSON object: ``out``, ``overrides``,
``resume``, ``unset``, ``log``, ``slow`` (seconds that each sync of a file takes more) and ``naive`` (see ``naive.py``).
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import torch

from mmx.errors import MmxError
from mmx_toy.naive import make_naive
from mmx_toy.start import RECIPE, start


def run(job: dict[str, Any]) -> int:
    """Do one job; return its exit code, as the command line does."""
    torch.set_num_threads(1)
    slow_down(job.get("slow", 0.0))
    make_naive(job.get("naive", ""))
    resume = job.get("resume")
    try:
        result = start(
            Path(job["out"]),
            *job.get("overrides", ()),
            recipe=None if resume else RECIPE,
            resume=resume,
            say=say,
            unset=job.get("unset", ()),
        )
    except MmxError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    say(json.dumps(result.summary))
    return result.exit_code


def say(text: str) -> None:
    print(text, flush=True)


def slow_down(seconds: float) -> None:
    sync = os.fsync

    def slower(handle: int) -> None:
        time.sleep(seconds)
        sync(handle)

    if seconds:
        os.fsync = slower


def serve() -> int | None:
    """Answer each line: a job with the id of its process, ``{"wait": id}`` with how it ended, None if it still runs."""
    import_module("torch._dynamo")  # what torch would import at the first step of each

    for line in sys.stdin:
        job = json.loads(line)
        if "wait" in job:
            found, status = os.waitpid(job["wait"], os.WNOHANG)
            say(json.dumps(os.waitstatus_to_exitcode(status) if found else None))
            continue
        child = os.fork()
        if child == 0:
            return forked(job)
        say(json.dumps(child))
    return 0


def forked(job: dict[str, Any]) -> int:
    os.setsid()
    log = os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for handle, to in ((0, os.open(os.devnull, os.O_RDONLY)), (1, log), (2, log)):
        os.dup2(to, handle)
    return run(job)


if __name__ == "__main__":
    sys.exit(serve() if sys.argv[1] == "serve" else run(json.loads(sys.argv[2])))

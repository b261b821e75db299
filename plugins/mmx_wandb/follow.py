"""The process that talks to W&B: reads what the run writes to its folder, and sends it on. Run as a module."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

from mmx.runs.mask import mask
from mmx_wandb.send import Sender, start
from mmx_wandb.task import Task

POLL: Final = 0.3
"""Seconds between two looks for new rows."""

Limit = Callable[[float, str], contextlib.AbstractContextManager[None]]


def main() -> None:
    """Follow one run; leaves one line of JSON: where the run can be seen, or why it failed."""
    say = _voice()

    @contextlib.contextmanager
    def limit(seconds: float, what: str) -> Generator[None]:
        timer = threading.Timer(seconds, lambda: _leave(say, 1, {"reason": f"{what} took more than {seconds:g} s"}))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    try:
        where = follow(Task.read(sys.stdin.buffer.read()), limit)
    except BaseException as error:
        _leave(say, 1, {"reason": _reason(error)})
    else:
        _leave(say, 0, {"where": where})


def follow(task: Task, limit: Limit) -> str:
    """Send a run's rows as they come, and return where the run can be seen.

    Raises:
        Exception: whatever W&B raised, once it can be no passing trouble.
    """
    with limit(1.5 * task.limits.init, "wandb.init"):
        sender = Sender(start(task), task)
    status = "killed"
    for row in rows(task):
        with limit(task.limits.call, "wandb.log"):
            sender.send(row)
        status = str(row["status"]) if row.get("kind") == "end" else status
    with limit(task.limits.finish, "wandb.finish"):
        return sender.finish(status)


def rows(task: Task) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of ``metrics.jsonl`` from the task's offset on, up to the run's end or the end of its process."""
    rest = b""
    with (Path(task.folder) / "metrics.jsonl").open("rb") as file:
        file.seek(task.offset)
        while True:
            alive = os.getppid() == task.parent
            rest += file.read()
            *lines, rest = rest.split(b"\n")
            for line in lines:
                row = cast(dict[str, Any], json.loads(line))
                yield row
                if row.get("kind") == "end":
                    return
            if not alive:
                return
            if not lines:
                time.sleep(POLL)


def _voice() -> Callable[[Mapping[str, str]], None]:
    # W&B and its service print what they like: what was standard output becomes ours alone.
    ours = os.dup(1)
    os.dup2(2, 1)
    return lambda values: cast(None, os.write(ours, json.dumps(values).encode() + b"\n"))


def _leave(say: Callable[[Mapping[str, str]], None], code: int, values: Mapping[str, str]) -> None:
    # Not sys.exit: what W&B does at exit may hang.
    with contextlib.suppress(OSError):
        say(values)
    os._exit(code)


def _reason(error: BaseException) -> str:
    text = f"{type(error).__name__}: {error}".splitlines()[0][:300]
    key = os.environ.get("WANDB_API_KEY")
    return mask([text.replace(key, "***") if key else text])[0]


if __name__ == "__main__":
    main()

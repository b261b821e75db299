"""The process that talks to W&B, as the training process sees it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from typing import cast

from mmx_wandb.task import Task


class Follower:
    """One process that follows a run. It is in a session of its own, so that Ctrl-C does not reach it."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.done = False
        """Whether W&B has everything."""
        self.reason = "it did not answer in time"
        """Why it failed."""
        self.where = ""
        """Where the run can be seen, or how to upload it."""
        path = os.pathsep.join(entry for entry in sys.path if entry)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "mmx_wandb.follow"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,
        )
        pipe = self._process.stdin
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError), pipe:
                pipe.write(task.write())

    def ended(self) -> bool:
        """Return whether the process is gone, well or not."""
        if self._process.poll() is None:
            return False
        self._listen()
        return True

    def wait(self, seconds: float) -> None:
        """Wait until it has finished, and end it if it does not."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        self._listen()

    def kill(self) -> None:
        """End the process and those that it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _listen(self) -> None:
        """Read the one line that it leaves."""
        pipe = self._process.stdout
        if pipe is None or pipe.closed:
            return
        with pipe:
            line = pipe.readline(10_000)
        with contextlib.suppress(ValueError):
            said = cast(dict[str, str], json.loads(line or b"{}"))
            self.done = "where" in said
            self.where = said.get("where", "")
            self.reason = said.get("reason", f"its process ended with code {self._process.returncode}")

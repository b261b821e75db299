"""Starts toy runs in process groups of their own, waits for them, and looks whether any process is left.

``launch`` starts Python anew each time. A ``Server`` forks, which is quicker; its processes share one hash seed.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

DRIVER: Final = Path(__file__).parents[1] / "driver.py"
PATIENCE: Final = 60.0
"""Seconds after which a test that waits gives up."""


@dataclass(frozen=True)
class Job:
    """One process that trains."""

    process: int
    poll: Callable[[], int | None]
    """Returns its exit code, negative for a signal; None while it runs."""
    log: Path
    run: Path

    def text(self) -> str:
        """Return what it has printed."""
        return self.log.read_text(errors="replace")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to its process group, as a terminal or a scheduler does."""
        os.killpg(self.process, number)

    def steps(self) -> int:
        """Return how many steps are in its ledger."""
        path = self.run / "ledger.jsonl"
        return path.read_bytes().count(b"\n") if path.exists() else 0

    def saving(self) -> set[str]:
        """Return the folders of checkpoints that are being written, or were when a process was killed."""
        folder = self.run / "checkpoints"
        return {name for name in os.listdir(folder) if name.startswith(".tmp-")} if folder.is_dir() else set()

    def until(self, true: Callable[[], object]) -> None:
        """Wait until something is so while the process runs."""
        end = time.monotonic() + PATIENCE
        while not true():
            assert self.poll() is None, f"it ended too soon:\n{self.text()}"
            assert time.monotonic() < end, f"waited in vain:\n{self.text()}"
            time.sleep(0.002)

    def wait(self) -> int:
        """Return the exit code, negative for a signal."""
        end = time.monotonic() + PATIENCE
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                self.signal(signal.SIGKILL)
                raise AssertionError(f"it hangs:\n{self.text()}")
            time.sleep(0.005)
        return code

    def left(self) -> list[int]:
        """Return the processes of its group that are still there."""
        return [process for process, group, state in _processes() if group == self.process and state != "Z"]


def launch(out: Path, *overrides: str, resume: Path | None = None, naive: str = "", unset: Sequence[str] = ()) -> Job:
    """Start a run in ``out/run``, or go on with one, in a new Python."""
    job = _job(out, overrides, resume, naive=naive, unset=unset)
    with open(job["log"], "wb") as log:
        process = subprocess.Popen(
            [sys.executable, str(DRIVER), "run", json.dumps(job)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    return Job(process.pid, process.poll, Path(job["log"]), out / "run")


def _job(out: Path, overrides: Sequence[str], resume: Path | None, **more: Any) -> dict[str, Any]:
    out.mkdir(parents=True, exist_ok=True)
    log = out / f"log-{len(list(out.glob('log-*')))}"
    log.touch()
    return {"out": str(out), "overrides": overrides, "resume": resume and str(resume), "log": str(log), **more}


@final
class Server:
    """A process that has imported torch and forks one process for each job."""

    def __init__(self) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, str(DRIVER), "serve"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self._codes: dict[int, int] = {}

    def start(self, out: Path, *overrides: str, resume: Path | None = None, slow: float = 0.0) -> Job:
        """Start a run in ``out/run``, or go on with one."""
        job = _job(out, overrides, resume, slow=slow)
        number = self._ask(job)
        return Job(number, lambda: self._ended(number), Path(job["log"]), out / "run")

    def _ended(self, process: int) -> int | None:
        if process not in self._codes:
            code = self._ask({"wait": process})
            if code is None:
                return None
            self._codes[process] = code
        return self._codes[process]

    def stop(self) -> None:
        """End it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()

    def _ask(self, question: dict[str, Any]) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        print(json.dumps(question), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())


def _processes() -> list[tuple[int, int, str]]:
    found: list[tuple[int, int, str]] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        found.append((int(folder.name), int(group), state))
    return found

"""Starts ``mmx run`` as users and launchers do, in sessions of their own, and finds every process that is left of it."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from resumed import SMALL

from mmx.launch.rank import Rank, rendezvous
from mmx.runs.ledger import Entry, read

PATIENCE: Final = 180.0
"""Seconds after which a test that waits gives up."""
NEW: Final = (
    *SMALL[:-2],
    "optim.eps=1e-3",  # as runs in this process have it
    "checkpoint.every_steps=2",
    "checkpoint.keep_last=9",
    "train.log_every=1",
    "trackers.report.enabled=false",
)
"""Options of a new run; the terminal is told of it."""
TWO: Final = ('parallel.engine="colossalai"', 'parallel.device="cpu"', "parallel.processes=2")
MMX: Final = (sys.executable, "-m", "mmx")


def new(out: Path, steps: int, *options: str) -> list[str]:
    """Return the arguments that start ``out/run``."""
    sets = [word for option in (*NEW, *options, f"train.steps={steps}") for word in ("--set", option)]
    left_out = ["--unset", "evaluators", "--unset", "train.epochs"]
    return ["run", "quickstart_vit", "--out", str(out), "--name", "run", *left_out, *sets]


@dataclass(frozen=True)
class Command:
    """A command that runs in a session of its own."""

    process: subprocess.Popen[bytes]
    out: Path
    """Also in the command line of everything that it starts."""
    stdout: Path
    stderr: Path

    @property
    def text(self) -> str:
        """What it has printed beside its document."""
        return self.stderr.read_text(errors="replace")

    def wait(self) -> int:
        """Return the exit code, negative for a signal."""
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            for pid in left(self.out):
                os.kill(pid, signal.SIGKILL)
            raise AssertionError(f"it hangs:\n{self.text}") from None

    def until(self, true: Callable[[], object]) -> None:
        """Wait until something is so while it runs."""
        end = time.monotonic() + PATIENCE
        while not true():
            assert self.process.poll() is None, f"it ended too soon:\n{self.text}"
            assert time.monotonic() < end, f"waited in vain:\n{self.text}"
            time.sleep(0.01)

    def has_trained(self, more: int) -> None:
        """Wait until it has taken some more steps than there are now."""
        target = len(entries(self.out)) + more
        self.until(lambda: len(entries(self.out)) >= target)

    def ranks(self) -> dict[int, int]:
        """Return the processes that train, by their rank."""
        found: dict[int, int] = {}
        for pid in left(self.out):
            if b"mmx.train.child" in _read(pid, "cmdline"):
                (rank,) = re.findall(rb"(?<![^\0])RANK=(\d+)", _read(pid, "environ"))
                found[int(rank)] = pid
        return found


def start(command: Sequence[str], out: Path, **variables: str) -> Command:
    """Start a command whose temporary files lie in ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "tmp").mkdir(exist_ok=True)
    number = len(list(out.glob("stdout-*")))
    stdout, stderr = out / f"stdout-{number}", out / f"stderr-{number}"
    with open(stdout, "wb") as first, open(stderr, "wb") as second:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=first,
            stderr=second,
            cwd=out,
            env={**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(out / "tmp"), **variables},
            start_new_session=True,
        )
    return Command(process, out, stdout, stderr)


def slurm(arguments: Sequence[str], out: Path, count: int = 2) -> list[Command]:
    """Start processes with the variables that srun gives them."""
    job = next(job for job in map(str, range(os.getpid(), 10**9)) if _is_free(_port(job)))
    step = {"SLURM_JOB_ID": job, "SLURM_STEP_ID": "0", "SLURM_STEP_NODELIST": "localhost"}
    numbers = [{"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)} for rank in range(count)]
    return [start([*MMX, *arguments], out, SLURM_STEP_NUM_TASKS=str(count), **step, **each) for each in numbers]


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def entries(out: Path) -> list[Entry]:
    """Return the ledger of ``out/run``, which may not be there yet."""
    path = out / "run" / "ledger.jsonl"
    return read(path) if path.exists() else []


def left(out: Path) -> list[int]:
    """Return the processes that have a folder in their command line, or stand in a session of one that has."""
    found = {int(folder.name) for folder in Path("/proc").glob("[0-9]*")} - {os.getpid()}
    lives = {pid: _session(pid) for pid in found}
    mine = {pid for pid in found if os.fsencode(out) in _read(pid, "cmdline")}
    sessions = {lives[pid] for pid in mine} - {0, os.getsid(0)}
    return sorted(pid for pid, session in lives.items() if session and (pid in mine or session in sessions))


def gone(out: Path, seconds: float) -> bool:
    """Wait until no process is left."""
    end = time.monotonic() + seconds
    while left(out):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def _session(pid: int) -> int:
    """Return a process's session; 0 if it has ended."""
    fields = _read(pid, "stat").rpartition(b")")[2].split()
    return int(fields[3]) if fields and fields[0] != b"Z" else 0


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def _port(job: str) -> int:
    return rendezvous(Rank(0, 2, 0, "Slurm"), {"SLURM_JOB_ID": job, "SLURM_STEP_ID": "0", "SLURM_STEP_NODELIST": "x"})[
        1
    ]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0

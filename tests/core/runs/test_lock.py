"""Two processes never write one run, and a dead one blocks nobody."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mmx.errors import CheckpointError
from mmx.runs.lock import RunLock

HOLD = """
import os, sys, time
from pathlib import Path
from mmx.runs.lock import RunLock
with RunLock(Path(sys.argv[1])):
    if sys.argv[2] == "with a worker" and os.fork() == 0:
        os.close(1)
        time.sleep(60)
    print("held", flush=True)
    time.sleep(60)
"""


def holder(run: Path, how: str = "alone") -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run), how],
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
        start_new_session=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def test_a_second_process_is_refused_and_told_who_has_the_run(tmp_path: Path) -> None:
    process = holder(tmp_path)
    try:
        with (
            pytest.raises(CheckpointError, match=f"process {process.pid} on {socket.gethostname()}"),
            RunLock(tmp_path),
        ):
            pytest.fail("it is held")
    finally:
        end(process)


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    end(holder(tmp_path))
    with RunLock(tmp_path):
        assert f"process {os.getpid()} on" in (tmp_path / ".lock").read_text()


def test_workers_that_outlive_their_process_do_not_hold_the_lock(tmp_path: Path) -> None:
    process = holder(tmp_path, "with a worker")
    try:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        with RunLock(tmp_path):
            pass
    finally:
        end(process)


def test_the_lock_can_be_taken_again(tmp_path: Path) -> None:
    lock = RunLock(tmp_path)
    for _ in range(2):
        with lock:
            pass
    end(holder(tmp_path))


def test_a_folder_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot write in the run"), RunLock(tmp_path / "gone"):
        pytest.fail("there is no folder")

"""Stopping on request, in processes of their own: what was reached is saved, and no process is left."""

import os
import signal
import time
from pathlib import Path
from signal import Signals

import pytest

from mmx.runs.layout import RunFolder
from mmx.runs.lines import read_lines
from mmx_toy.proof import entries, final
from mmx_toy.server import Job, Server
from mmx_toy.start import MATCH, start

SLOW = "data.train.seconds=0.012"
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGUSR1: 75}


def ended(job: Job, code: int, reason: str) -> int:
    """Check how a run was stopped, and return its last step."""
    assert job.wait() == code, job.text()
    assert job.left() == []
    status, last = RunFolder(job.run).status(), read_lines(job.run / "metrics.jsonl")[-1]
    assert (status.status, status.reason) == ("stopped", reason) and last["resume"] == f"mmx run --resume {job.run}"
    assert f"mmx run --resume {job.run}" in job.text() and "Traceback" not in job.text()
    assert final(job.run).step == status.step == len(entries(job.run)) == last["step"]
    return status.step


def goes_on_to(whole: Path, job: Job) -> None:
    """Go on with a run, and check that it becomes the one that was never stopped."""
    assert start(job.run.parent, recipe=None, resume=str(job.run)).exit_code == 0
    assert final(job.run) == final(whole) and entries(job.run) == entries(whole)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("number", CODES)
def test_a_signal_saves_and_stops(number: Signals, workers: int, whole: Path, server: Server, tmp_path: Path) -> None:
    job = server.start(tmp_path, *MATCH, SLOW, f"data.workers={workers}")
    job.until(lambda: job.steps() >= 6)
    job.signal(number)
    assert 6 <= ended(job, CODES[number], f"received {number.name}") < 18
    goes_on_to(whole, job)


def test_a_signal_during_an_evaluation_saves_and_stops_at_once(whole: Path, server: Server, tmp_path: Path) -> None:
    job = server.start(tmp_path, *MATCH, "evaluators.match.seconds=50.0")
    job.until(lambda: job.steps() == 4)
    time.sleep(0.1)
    job.signal(signal.SIGTERM)
    assert ended(job, 143, "received SIGTERM") == 4
    assert start(tmp_path, "evaluators.match.seconds=0.0", recipe=None, resume=str(job.run)).exit_code == 0
    assert final(job.run) == final(whole)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_signal_while_an_evaluation_waits_for_data(workers: int, server: Server, tmp_path: Path) -> None:
    deaf = ("evaluators.match.data.name='toy'", "evaluators.match.data.deaf=true")
    job = server.start(tmp_path, *MATCH, *deaf, f"data.workers={workers}")
    job.until(lambda: job.steps() == 4)
    time.sleep(0.3)
    job.signal(signal.SIGTERM)
    assert ended(job, 143, "received SIGTERM") == 4


def test_a_signal_during_the_last_evaluation(whole: Path, server: Server, tmp_path: Path) -> None:
    job = server.start(tmp_path, "evaluators.match.name='toy'", "evaluators.match.seconds=50.0")
    job.until(lambda: job.steps() == 18)
    time.sleep(0.1)
    job.signal(signal.SIGTERM)
    assert ended(job, 143, "received SIGTERM") == 18
    result = start(tmp_path, "evaluators.match.seconds=0.0", recipe=None, resume=str(job.run))
    assert result.summary["status"] == "finished" and result.summary["evaluations"]["match"]
    assert final(job.run) == final(whole)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_a_checkpoint(number: Signals, whole: Path, server: Server, tmp_path: Path) -> None:
    job = server.start(tmp_path, *MATCH, slow=0.05)
    job.until(job.saving)
    step = job.steps()
    job.signal(number)
    assert step <= ended(job, CODES[number], f"received {number.name}") <= step + 1
    goes_on_to(whole, job)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_signal_while_data_does_not_come(workers: int, server: Server, tmp_path: Path) -> None:
    job = server.start(tmp_path, "data.train.deaf=true", f"data.workers={workers}")
    job.until(lambda: (job.run / "metrics.jsonl").exists())
    time.sleep(0.3)
    job.signal(signal.SIGTERM)
    assert job.wait() == 143 and job.left() == []
    assert RunFolder(job.run).status().status == "stopped" and not (job.run / "checkpoints").exists()


def test_a_second_ctrl_c_stops_at_once(whole: Path, server: Server, tmp_path: Path) -> None:
    job = server.start(tmp_path, *MATCH, "data.workers=2", slow=0.05)
    job.until(lambda: job.steps() >= 8 and job.saving())
    saved = (job.steps() - 1) // 4 * 4  # the one before, since this one is not whole yet
    job.signal(signal.SIGINT)
    time.sleep(0.05)
    job.signal(signal.SIGINT)
    assert job.wait() == 130 and job.left() == []
    assert RunFolder(job.run).status().status == "failed" and final(job.run).step == saved
    goes_on_to(whole, job)


def test_further_signals_do_no_harm(whole: Path, server: Server, tmp_path: Path) -> None:
    job = server.start(tmp_path, *MATCH, slow=0.02)
    job.until(job.saving)
    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        job.signal(number)
        time.sleep(0.01)
    ended(job, 143, "received SIGTERM")
    goes_on_to(whole, job)


def test_a_time_limit_saves_and_stops(whole: Path, server: Server, tmp_path: Path) -> None:
    job = server.start(tmp_path, *MATCH, "data.train.seconds=0.02", "train.max_minutes=0.008", "data.workers=1")
    assert 0 < ended(job, 75, "reached train.max_minutes = 0.008") < 18
    start(tmp_path, recipe=None, resume=str(job.run), unset=["train.max_minutes"])
    assert final(job.run) == final(whole)


def test_a_run_that_ends_leaves_no_process(server: Server, tmp_path: Path) -> None:
    job = server.start(tmp_path, "data.workers=2", "train.steps=4")
    assert job.wait() == 0 and job.left() == []


def test_data_workers_end_when_the_main_process_is_killed(server: Server, tmp_path: Path) -> None:
    job = server.start(tmp_path, "data.workers=2", SLOW)
    job.until(lambda: job.steps() >= 2)
    os.kill(job.process, signal.SIGKILL)
    assert job.wait() == -signal.SIGKILL
    end = time.monotonic() + 20
    while job.left() and time.monotonic() < end:
        time.sleep(0.05)
    assert job.left() == []

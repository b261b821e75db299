"""Data workers change nothing but the time."""

import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from multiprocessing import active_children
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, cast, final

import pytest
import torch
from torch.utils.data import get_worker_info

from mmx.data.loader import stream
from mmx.data.order import Order
from mmx.data.views import Reader, StepData
from mmx.errors import DataError, MmxError
from mmx_toy.data import ToyPictures
from mmx_toy.reading import reader

ORDER = Order(44, 6, 0)


def read(workers: int, start: int = 0, steps: int = 16, bad: tuple[int, ...] = ()) -> list[StepData]:
    with closing(stream(reader(bad), ORDER, start, steps, workers, pin=False)) as data:
        return list(data)


def equal(one: StepData, other: StepData) -> bool:
    tensors = [
        (a.images["clean"].pixels, a.texts["clean"].ids, a.texts["clean"].mask, a.facts["label"])
        for a in (one.batch, other.batch)
    ]
    same = all(torch.equal(a, b) for a, b in zip(*tensors, strict=True))
    return same and one.batch.keys == other.batch.keys and one.bad == other.bad


def test_any_number_of_workers_reads_the_same_batches() -> None:
    none, one, two = (read(workers, bad=(3, 4)) for workers in (0, 1, 2))
    assert len(none) == 16 and sum(len(loaded.bad) for loaded in none) > 2
    assert all(equal(a, b) and equal(a, c) for a, b, c in zip(none, one, two, strict=True))


@pytest.mark.parametrize("workers", [0, 2])
def test_reading_from_any_step_gives_the_rest(workers: int) -> None:
    every = read(0)
    for start in (5, 7, 13, 16):
        rest = read(workers, start)
        assert len(rest) == 16 - start and all(equal(a, b) for a, b in zip(rest, every[start:], strict=True))


@pytest.mark.parametrize("workers", [0, 1])
def test_the_global_generator_is_left_alone(workers: int) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    read(workers, steps=2)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_path_that_is_too_long_for_sockets_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", f"/tmp/{'x' * 80}")
    with pytest.raises(
        DataError, match=r"data.workers = 2: the path of the folder .*xxx, has more than 71 .*set TMPDIR"
    ):
        read(2)
    assert len(read(0, steps=2)) == 2


def test_a_reader_can_be_sent_to_a_worker() -> None:
    sent = pickle.loads(pickle.dumps(reader()))
    assert isinstance(sent, Reader) and len(sent) == 44


@final
class Unsent(MmxError):
    """A step that cannot be handed over, as where shared memory is full."""

    def __reduce__(self) -> Any:
        raise OSError(28, "No space left on device")


def test_a_worker_that_cannot_hand_over_what_it_read_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reader, "step", lambda reader, asked: Unsent("step"))
    with bounded(30), pytest.raises(DataError, match=r"a data worker ended by itself .*/dev/shm"):
        read(2)


@contextmanager
def bounded(seconds: int) -> Generator[None]:
    """Fail, rather than hang, after some seconds."""
    before = signal.signal(signal.SIGALRM, lambda *_: pytest.fail(f"it hung for {seconds} s"))
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_a_worker_that_dies_while_others_are_started_is_no_lack_of_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(process: BaseProcess) -> None:
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. ")

    monkeypatch.setattr(BaseProcess, "start", start)
    with pytest.raises(DataError, match="a data worker ended by itself"):
        read(2)


def test_workers_that_wait_for_data_are_ended_every_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Reader, "step", lambda *_: time.sleep(600) if cast("Any", get_worker_info()).id else MmxError("step")
    )
    before = set(active_children())
    with bounded(60):
        for _ in range(10):
            with pytest.raises(MmxError, match="step"):
                read(2)
            assert set(active_children()) <= before


def test_where_not_all_workers_can_be_started_none_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    real, started = BaseProcess.start, list[BaseProcess]()

    def start(process: BaseProcess) -> None:
        if started:
            raise OSError(24, "Too many open files")
        started.append(process)
        real(process)

    monkeypatch.setattr(BaseProcess, "start", start)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with pytest.raises(DataError, match=r"data.workers = 2: they cannot be started .*Too many open files.*ulimit -n"):
        read(2)
    assert started and not started[0].is_alive()
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before, "signals reach the process again"


ORPHAN = """
import os, signal, sys, time
from multiprocessing import active_children
from mmx.data.loader import stream
from mmx.data.order import Order

class Stuck:
    def step(self, asked):
        time.sleep(600)

data = stream(Stuck(), Order(44, 6, 0), 0, 4, 2, pin=False)
def leave(*_):
    workers = active_children()
    if len(workers) == 2:
        print(*[worker.pid for worker in workers], flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
signal.signal(signal.SIGALRM, leave)
signal.setitimer(signal.ITIMER_REAL, 0.5, 0.5)
next(data)
"""


def test_workers_end_with_a_main_process_that_was_killed() -> None:
    done = subprocess.run([sys.executable, "-c", ORPHAN], capture_output=True, text=True, timeout=60)
    workers = [int(word) for word in done.stdout.split()]
    assert done.returncode == -signal.SIGKILL and len(workers) == 2
    end = time.monotonic() + 20
    while any(_alive(worker) for worker in workers):
        assert time.monotonic() < end, "they wait for ever"
        time.sleep(0.05)


def _alive(process: int) -> bool:
    stat = Path(f"/proc/{process}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_memory_that_runs_out_is_an_error_of_the_run_and_not_a_bad_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(ToyPictures, "read", fail)
    with pytest.raises(DataError, match=r"memory ran out at the sample .*: lower data.workers or data.batch"):
        read(0, steps=1)

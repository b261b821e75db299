"""A worker that does not come on is ended and named; one that is slow is not."""

import asyncio
import os
import signal
import struct
import time
from collections.abc import Callable, Generator
from contextlib import closing
from multiprocessing import active_children
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

import pytest
from torch.utils.data import get_worker_info

from mmx.data.heartbeat import Heartbeat, beat, show
from mmx.data.loader import stream
from mmx.data.order import Order
from mmx.data.views import Reader, StepData
from mmx.errors import DataError
from mmx.parts.dataset import Sample
from mmx_storage.background import background, fetched
from mmx_toy.data import ToyPictures
from mmx_toy.reading import reader

ORDER = Order(44, 4, 0)
LIMIT = 4.0
pytestmark = pytest.mark.timeout(120)


def reading(workers: int = 2) -> Generator[StepData]:
    return stream(reader(), ORDER, 0, 11, workers, pin=False, timeout=LIMIT)


def slow(monkeypatch: pytest.MonkeyPatch, seconds: Callable[[int], float]) -> None:
    """Let the second worker need some time for a sample, by its index."""
    real = ToyPictures.read

    def read(dataset: ToyPictures, index: int) -> Sample:
        info = get_worker_info()
        time.sleep(seconds(index) if info is not None and info.id == 1 else 0)
        return real(dataset, index)

    monkeypatch.setattr(ToyPictures, "read", read)


def test_a_worker_that_hangs_in_a_sample_is_ended_and_the_sample_named(monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = ORDER.tickets(3)[2].index  # a step of the second worker
    slow(monkeypatch, lambda index: 600.0 if index == stuck else 0.0)
    before, begun = set(active_children()), time.monotonic()
    with pytest.raises(
        DataError,
        match=rf"data worker 1 \(process \d+\) made no progress for 4 s.* was reading the sample toy-{stuck:04}\. Look",
    ):
        list(reading())
    assert time.monotonic() - begun >= LIMIT and set(active_children()) <= before


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the state of a process is told by /proc")
def test_a_worker_that_is_stopped_is_ended_wherever_it_was() -> None:
    before = set(active_children())
    with closing(reading()) as data:
        for step, _ in zip(range(2), data, strict=False):
            if step == 1:
                for worker in set(active_children()) - before:
                    os.kill(worker.pid or 0, signal.SIGSTOP)
        with pytest.raises(
            DataError, match=r"made no progress for 4 s, so it was ended\. .*It was stopped from outside"
        ):
            list(data)
    assert set(active_children()) <= before


@pytest.mark.parametrize("step", [0, 1])
def test_a_worker_that_is_killed_is_named_with_what_killed_it(step: int) -> None:
    before = set(active_children())
    with closing(reading()) as data:
        next(data)
        victim = sorted(set(active_children()) - before, key=lambda worker: worker.pid or 0)[step]
        os.kill(victim.pid or 0, signal.SIGKILL)
        with pytest.raises(
            DataError, match=rf"data worker ended by itself \(process {victim.pid}, killed by SIGKILL\).*/dev/shm"
        ):
            list(data)
    assert set(active_children()) <= before


def test_a_worker_that_dies_while_it_sends_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that is larger than a pipe is sent in parts: who reads it would wait for the rest for ever."""
    real = cast("Any", Connection)._send_bytes

    def half(connection: Any, data: Any) -> None:
        if get_worker_info() is None:
            real(connection, data)
            return
        os.write(connection.fileno(), struct.pack("!i", len(data)) + bytes(data)[: len(data) // 2])
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(Connection, "_send_bytes", half)
    with pytest.raises(DataError, match="killed by SIGKILL"):
        list(reading())


def test_what_is_raised_in_a_worker_that_lives_is_raised_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reader, "step", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError, match="Caught ZeroDivisionError in DataLoader worker process 0"):
        list(reading())


def test_a_slow_worker_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    slow(monkeypatch, lambda _: 0.3 * LIMIT)
    begun = time.monotonic()
    with closing(reading()) as data:
        next(data)
        next(data)
    assert time.monotonic() - begun > LIMIT, "the step of four samples took longer than one sample may"


def test_a_wait_for_a_server_shows_that_the_process_makes_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmx.data.heartbeat._Here.heartbeat", None)
    monkeypatch.setattr("mmx.data.heartbeat._Here.process", 0)
    heartbeat = Heartbeat(1)
    show(heartbeat, 0)
    beat(7)
    fetched(asyncio.sleep(2), background())
    assert heartbeat.of(0) >= 3 and heartbeat.sample(0) == 7

"""The number of threads of a run that goes on."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mmx.launch import threads
from mmx.runs.folder import create
from mmx.runs.layout import RunFolder
from mmx.train.same_threads import keep_threads, threads_before


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No wishes; afterwards as many threads as before."""
    for name in threads.NUMBER:
        monkeypatch.delenv(name, raising=False)
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A run that began with two threads."""
    torch.set_num_threads(2)
    made = create(tmp_path, "r", "", "seed = 1\n", name="first")
    torch.set_num_threads(1)
    return made


def test_they_are_as_many_as_before(folder: RunFolder) -> None:
    said: list[str] = []
    keep_threads(folder, 1, said.append)
    assert torch.get_num_threads() == 2 and said[0].startswith("2 CPU threads, as before")
    keep_threads(folder, 1, said.append)
    assert len(said) == 1


def test_the_users_number_stays_and_what_it_means_is_said(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    keep_threads(folder, 1, said.append)
    assert torch.get_num_threads() == 1 and "the run had 2 before" in said[0]


def test_another_number_of_processes_and_a_new_run_have_their_own(folder: RunFolder) -> None:
    assert threads_before(folder, 1) == 2
    assert threads_before(folder, 2) is None and threads_before(None, 1) is None


def test_sums_are_rounded_in_another_order_with_another_number() -> None:
    """The reason: a product of torch's is the same number only with the same number of threads."""
    draw = torch.Generator().manual_seed(0)
    values = torch.randn(1 << 20, generator=draw)
    found: dict[int, torch.Tensor] = {}
    for count in (1, 2, 1):
        torch.set_num_threads(count)
        total = values.sum()
        assert count not in found or bool(total == found[count])
        found[count] = total
    assert bool(found[1] != found[2])

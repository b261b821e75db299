"""How torch's threads wait, and how many there are."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmx import limits
from mmx.launch import threads


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No wishes and no control group."""
    monkeypatch.setattr(limits, "GROUPS", tmp_path)
    monkeypatch.setattr(limits, "OWN", tmp_path / "cgroup")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(4))
    monkeypatch.setattr(threads, "_chosen", {})
    for name in (*threads.WAITING, *threads.NUMBER):
        monkeypatch.setenv(name, "")  # so that it is as before afterwards
        monkeypatch.delenv(name)


def quota(folder: Path, text: str) -> None:
    """Let the control group of this process give it some time."""
    (folder / "cgroup").write_text("0::/\n")
    (folder / "cpu.max").write_text(f"{text}\n")


def test_threads_sleep_and_are_as_many_as_torch_chooses() -> None:
    threads.settle()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE" and "OMP_NUM_THREADS" not in os.environ
    assert threads.cpus() == 4


@pytest.mark.parametrize("name", threads.WAITING)
def test_how_the_user_lets_them_wait_stays(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "7")
    threads.settle()
    assert [os.environ.get(each) for each in threads.WAITING if each != name] == [None, None]
    assert os.environ[name] == "7"


@pytest.mark.parametrize(("given", "count"), [("250000 100000", 2), ("50000 100000", 1), ("900000 100000", 4)])
def test_no_more_than_the_control_group_gives(given: str, count: int, tmp_path: Path) -> None:
    quota(tmp_path, given)
    threads.settle()
    assert threads.cpus() == count
    assert os.environ.get("OMP_NUM_THREADS") == (str(count) if count < 4 else None)
    assert not threads.wished() and "OMP_NUM_THREADS" not in threads.for_others()


@pytest.mark.parametrize("name", threads.NUMBER)
def test_how_many_the_user_wants_stay(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quota(tmp_path, "100000 100000")
    monkeypatch.setenv(name, "3")
    threads.settle()
    assert [os.environ.get(each) for each in threads.NUMBER if each != name] == [None, None]
    assert threads.wished() and threads.for_others()[name] == "3"


@pytest.mark.parametrize("start", ["mmx.load('nowhere')", "mmx.run('nowhere')", "main()"])
def test_every_way_in_settles_them_before_torch(start: str, tmp_path: Path) -> None:
    body = f"""
import os, sys, mmx
from mmx.cli.main import main
sys.argv = ["mmx", "--version"]
assert "torch" not in sys.modules
try:
    {start}
except BaseException: pass
print(os.environ["OMP_WAIT_POLICY"])
"""
    env = {name: value for name, value in os.environ.items() if name not in threads.WAITING}
    done = subprocess.run([sys.executable, "-c", body], env=env, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1:] == ["PASSIVE"], done.stderr

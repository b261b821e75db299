"""Several processes of one job: what each is given, how they end, and that none is left, whatever happens."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from signal import Signals
from typing import Any

import pytest

from mmx.errors import MmxError
from mmx.launch import children, processes
from mmx.launch.processes import supervise
from mmx.launch.rank import Rank, find, rendezvous

PATIENCE = 20.0
START = """
import json, os, signal, subprocess, sys, time
from pathlib import Path
rank = int(os.environ["RANK"])
def note(what, text):
    Path(f"{what}-{rank}.tmp").write_text(str(text))
    os.rename(f"{what}-{rank}.tmp", f"{what}-{rank}")
note("pid", os.getpid())
def wait_for(*names):
    while not all(map(os.path.exists, names)):
        time.sleep(0.005)
def outlive(other):
    wait_for(f"pid-{other}")
    while os.path.exists("/proc/" + Path(f"pid-{other}").read_text()):
        time.sleep(0.005)
"""
PARENT = """
import os, signal, sys
for number in (signal.SIGHUP, signal.SIGQUIT):  # nohup, for one, leaves them ignored
    signal.signal(number, signal.SIG_DFL)
from mmx.launch.processes import supervise
print("code", supervise(sys.argv[1:], 2, env=os.environ, threads=1, grace=0.3, say=lambda text: print("said", text)))
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in an empty folder, with short patience; at the end no child and no log may be left."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setattr(processes, "LAST", 0.3)
    monkeypatch.setattr(children, "LAST", 0.3)
    yield tmp_path
    until(lambda: not [pid for pid in noted("pid") if runs(pid)])
    assert list((tmp_path / "tmp").iterdir()) == []


def program(body: str) -> list[str]:
    return [sys.executable, "-c", START + body]


def noted(what: str) -> list[int]:
    return [int(path.read_text()) for path in sorted(Path().glob(f"{what}-*[0-9]"))]


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def runs(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def run(body: str, count: int = 2, **more: Any) -> tuple[int, list[str]]:
    """Return the exit code and what was said; this process must be left as it was."""
    said: list[str] = []
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)]
    files, before = opened(), own_children()
    options: dict[str, Any] = {"env": os.environ, "threads": 1, "grace": 0.3, **more}
    code = supervise(program(body), count, say=said.append, **options)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)] == handlers
    assert opened() <= files and own_children() <= before
    return code, said


def own_children() -> set[str]:
    """Return the children of this process, zombies too; other tests may have pools of them."""
    found = set[str]()
    for one in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):  # of a thread that has just ended
            found.update(one.read_text().split())
    return found


def opened() -> set[str]:
    """Return what this process has open, but for sockets and what waits for them: threads of other tests open those."""
    found = set[str]()
    for one in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.add(os.readlink(one))
    return {name for name in found if not name.startswith(("socket:", "anon_inode:", "/proc/"))}


@contextlib.contextmanager
def parent(body: str) -> Generator[subprocess.Popen[str]]:
    """Supervise two processes from another one, which leads a process group, as in a terminal."""
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT, *program(body)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "TMPDIR": str(Path("tmp").absolute())},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_each_rank_has_its_place() -> None:
    env = {**os.environ, "OTHER": "kept", "RANK": "7", "MASTER_ADDR": "elsewhere"}
    env.pop("OMP_NUM_THREADS", None)
    body = "note('env', 0); Path(f'env-{rank}').write_text(json.dumps(dict(os.environ)))"
    assert run(body, 3, env=env, threads=5) == (0, [])
    found = [json.loads(Path(f"env-{rank}").read_text()) for rank in range(3)]
    assert [find(one) for one in found] == [Rank(rank, 3, rank, "mmx") for rank in range(3)]
    (address, port), *others = [rendezvous(find(one), one) for one in found]
    assert address == "127.0.0.1" and 1024 <= port < 65536 and others == [(address, port)] * 2
    assert {one["OTHER"] for one in found} == {"kept"} and {one["OMP_NUM_THREADS"] for one in found} == {"5"}
    assert env["RANK"] == "7"


def test_the_users_own_number_of_threads_stays() -> None:
    env = {**os.environ, "OMP_NUM_THREADS": "3"}
    assert run("sys.exit(os.environ['OMP_NUM_THREADS'] != '3')", env=env, threads=5) == (0, [])


def test_each_rank_leads_a_session_and_reads_no_terminal() -> None:
    body = "import stat; sys.exit(os.getsid(0) != os.getpid() or not stat.S_ISFIFO(os.fstat(0).st_mode))"
    assert run(body) == (0, [])


def test_rank_0_alone_is_heard(capfd: pytest.CaptureFixture[str]) -> None:
    assert run("print('out', rank); print('err', rank, file=sys.stderr)", 3) == (0, [])
    assert capfd.readouterr() == ("out 0\n", "err 0\n")


def test_a_rank_fails_while_rank_0_waits(capfd: pytest.CaptureFixture[str]) -> None:
    body = r"""
if rank == 1:
    print(*range(100), sep="\n")
    print("a\tb \x1b[2J evil\r", flush=True)
    print("no memory", file=sys.stderr)
    sys.exit(6)
time.sleep(60)
"""
    code, (said,) = run(body)
    lines = said.split("\n")
    assert code == 6 and capfd.readouterr() == ("", "")
    assert lines[0] == "rank 1 of 2 (they count from 0) ended with exit code 6; the last it wrote:"
    assert len(lines) == 16 and lines[1] == "  87" and lines[-1] == "  no memory"
    assert lines[-2] == r"  a       b \x1b[2J evil\r"


def test_a_rank_that_wrote_much_or_what_is_no_text() -> None:
    code, (said,) = run("if rank: os.write(1, b'x' * 100000 + b'\\xff'); sys.exit(3)\ntime.sleep(60)")
    assert code == 3 and said.endswith("xx\ufffd") and len(said) < 20_000


def test_a_rank_is_killed() -> None:
    code, (said,) = run("if rank: os.kill(os.getpid(), 9)\ntime.sleep(60)")
    assert code == 137
    assert said.startswith("rank 1 of 2 (they count from 0) was ended by SIGKILL (often") and "nothing" in said


@pytest.mark.parametrize(("end", "expected"), [("sys.exit(5)", 5), ("os.abort()", 134)])
def test_rank_0_speaks_for_itself(end: str, expected: int) -> None:
    assert run(f"if rank: outlive(0); sys.exit(4)\n{end}", grace=PATIENCE) == (expected, [])


def test_rank_0_fails_because_another_did() -> None:
    code, (said,) = run("if rank: sys.exit(4)\noutlive(1); sys.exit(5)", grace=PATIENCE)
    assert code == 5 and "rank 1 of 2" in said and "exit code 4" in said


def test_the_first_to_fail_counts() -> None:
    code, (said,) = run("if rank == 2: sys.exit(4)\noutlive(2); sys.exit(rank and 5)", 3, grace=PATIENCE)
    assert code == 4 and "rank 2 of 3" in said


def test_one_that_ignores_sigterm_is_killed() -> None:
    body = """
signal.signal(signal.SIGTERM, lambda *_: note("told", 1))
note("ready", 0)
if rank: wait_for("ready-0"); sys.exit(3)
while True: time.sleep(60)
"""
    code, (said,) = run(body)
    assert code == 3 and "rank 1 of 2" in said and noted("told") == [1]


def test_one_that_saves_at_sigterm_is_not_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LAST", PATIENCE)
    body = """
signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.05), note("saved", 1), sys.exit(143)))
note("ready", 0)
if rank: wait_for("ready-0"); sys.exit(3)
time.sleep(60)
"""
    assert run(body)[0] == 3 and noted("saved") == [1]


def test_what_a_rank_leaves_behind_is_killed() -> None:
    body = "note('pid-of', subprocess.Popen(['sleep', '60'], stdin=subprocess.DEVNULL).pid); sys.exit(rank * 3)"
    assert run(body)[0] == 3
    until(lambda: not any(map(runs, noted("pid-of"))))


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGUSR1"])
def test_others_may_save_long_after_one_has_stopped_on_request(number: str) -> None:
    code = processes.EXIT_CODES[number]
    body = f"if rank == 0: outlive(1); time.sleep(0.6); note('saved', 1)\nsys.exit({code})"
    assert run(body, grace=0.1) == (code, []) and noted("saved") == [1]


LISTENS = """
import signal
got = []
def receive(number, frame):
    got.append(signal.Signals(number).name)
    note("got", len(got))
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
    signal.signal(number, receive)
note("ready", 0)
while "SIGTERM" not in got: time.sleep(0.005)
time.sleep(0.1)
Path(f"all-{rank}").write_text(" ".join(got))
sys.exit(143)
"""


def test_each_signal_reaches_each_rank_once() -> None:
    with parent(LISTENS) as process:
        until(lambda: len(noted("ready")) == 2)
        for count, number in enumerate((signal.SIGUSR1, signal.SIGINT, signal.SIGTERM), 1):
            os.killpg(process.pid, number)
            until(lambda count=count: noted("got") == [count, count])
        assert process.communicate(timeout=PATIENCE)[0] == "code 143\n" and process.returncode == 0
    assert [Path(f"all-{rank}").read_text() for rank in range(2)] == ["SIGUSR1 SIGINT SIGTERM"] * 2


def test_a_second_ctrl_c_ends_one_that_hangs() -> None:
    body = "signal.signal(signal.SIGINT, lambda *_: note('told', 1)); note('ready', 0)\nwhile True: time.sleep(60)"
    with parent(body) as process:
        until(lambda: len(noted("ready")) == 2)
        process.send_signal(signal.SIGINT)
        until(lambda: noted("told") == [1, 1])
        time.sleep(0.6)
        assert process.poll() is None and all(map(runs, noted("pid")))
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=PATIENCE)[0] == "code 143\n"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP, signal.SIGQUIT])
@pytest.mark.parametrize("deaf", [False, True])
def test_no_rank_outlives_the_one_that_started_it(number: Signals, deaf: bool, folder: Path) -> None:
    body = f"""
from mmx.launch.processes import end_with_parent
end_with_parent({0.2 if deaf else PATIENCE})
assert sys.stdin.read() == ""
def receive(*_):
    note("told", 1)
    {deaf} or sys.exit()
signal.signal(signal.SIGTERM, receive)
note("child", subprocess.Popen(["sleep", "0.8"] if {not deaf} else ["sleep", "60"]).pid)
note("ready", 0)
while True: time.sleep(60)
"""
    with parent(body) as process:
        until(lambda: len(noted("ready")) == 2)
        time.sleep(0.1)
        assert noted("told") == [] and all(map(runs, noted("pid")))
        os.kill(process.pid, number)
        process.wait(PATIENCE)
    until(lambda: not any(map(runs, [*noted("pid"), *noted("child")])))
    assert noted("told") == [1, 1]
    for logs in (folder / "tmp").iterdir():  # what nobody was left to remove
        for log in logs.iterdir():
            log.unlink()
        logs.rmdir()


def test_a_process_of_another_launcher_does_not_end_with_its_stdin() -> None:
    body = "from mmx.launch.processes import end_with_parent; end_with_parent(0.1); import time; time.sleep(0.3)"
    for env in ({"MMX_LAUNCHER": ""}, {"MMX_LAUNCHER": "mmx"}):
        command = [sys.executable, "-c", body]
        assert subprocess.run(command, stdin=subprocess.DEVNULL, env={**os.environ, **env}).returncode == 0


class Interrupting(list[str]):
    """A command during whose second start Ctrl-C comes."""

    starts = 0

    def __iter__(self) -> Iterator[str]:
        self.starts += 1
        if self.starts == 2:
            until(lambda: noted("pid"))
            raise KeyboardInterrupt
        return super().__iter__()


def test_an_interruption_leaves_no_process() -> None:
    with pytest.raises(KeyboardInterrupt):
        supervise(Interrupting(program("time.sleep(60)")), 2, env=os.environ, threads=1, say=print)
    assert len(noted("pid")) == 1


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(MmxError, match="cannot start process 0: no-such-program: No such file"):
        supervise(["no-such-program"], 2, env=os.environ, threads=1, say=print)


def test_it_imports_no_torch() -> None:
    body = "import sys, mmx.launch.rank, mmx.launch.processes; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", body]).returncode == 0

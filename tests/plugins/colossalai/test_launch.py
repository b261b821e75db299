"""Several processes as users get them: by ``mmx run`` itself and by launchers, stopped, killed, and with bad data."""

import io
import json
import os
import shutil
import signal
import sys
import tarfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from signal import Signals
from typing import Final

import pytest
from launched import MMX, TWO, Command, entries, free_port, gone, left, new, slurm, start
from PIL import Image
from resumed import run as run_here

from mmx.data.order import Order
from mmx.launch.processes import GRACE, ORPHANED
from mmx.runs.layout import RunFolder
from mmx.runs.ledger import digest
from mmx.runs.lines import read_lines
from mmx_toy.proof import final

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(find_spec("colossalai") is None, reason="ColossalAI is not installed"),
]
STEPS: Final = 6
ENDLESS: Final = 10**6
"""Steps of runs that are stopped: no machine takes them all."""
CODES: Final = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGUSR1: 75}


def mmx(out: Path) -> list[Command]:
    return [start([*MMX, *new(out, STEPS, *TWO), "--json"], out)]


def torchrun(out: Path) -> list[Command]:
    """Two nodes, both of them this machine."""
    nodes = ["--nnodes", "2", "--nproc-per-node", "1", "--master-addr", "127.0.0.1", "--master-port", str(free_port())]
    command = [sys.executable, "-m", "torch.distributed.run", *nodes, "--node-rank"]
    return [start([*command, rank, "-m", "mmx", *new(out, STEPS, *TWO)], out) for rank in ("0", "1")]


def mpirun(out: Path) -> list[Command]:
    program = shutil.which("mpirun")
    if program is None:
        pytest.skip("mpirun is not installed")
    as_root = ["--allow-run-as-root"] if os.getuid() == 0 else []
    return [start([program, *as_root, "--oversubscribe", "-n", "2", *MMX, *new(out, STEPS, *TWO)], out)]


def srun(out: Path) -> list[Command]:
    return slurm(new(out, STEPS, *TWO), out)


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> list[Command]:
    """What mmx itself has launched."""
    commands = mmx(tmp_path_factory.mktemp("launched"))
    assert [command.wait() for command in commands] == [0], commands[0].text
    return commands


@pytest.mark.slow
def test_two_processes_equal_one(launched: list[Command], tmp_path: Path) -> None:
    run_here(tmp_path, 0, 1, STEPS)
    for mine, theirs in zip(entries(launched[0].out), entries(tmp_path), strict=True):
        assert (mine.step, mine.rows, mine.digest) == (theirs.step, theirs.rows, theirs.digest)
        assert mine.loss == pytest.approx(theirs.loss, rel=1e-6)


@pytest.mark.slow
def test_two_processes_save_when_one_does(launched: list[Command], tmp_path: Path) -> None:
    run_here(tmp_path, 0, 1, STEPS, "checkpoint.every_steps=2", "checkpoint.keep_last=9")
    assert saved(launched[0].out) == saved(tmp_path) == ["step-00000002", "step-00000004", "step-00000006"]


def saved(out: Path) -> list[str]:
    return sorted(path.name for path in (out / "run" / "checkpoints").iterdir())


@pytest.mark.slow
def test_json_prints_one_document(launched: list[Command]) -> None:
    summary = json.loads(launched[0].stdout.read_text())
    assert (summary["status"], summary["step"], summary["exit_code"]) == ("finished", STEPS, 0)
    told_once(launched)


def told_once(commands: list[Command]) -> None:
    """Check that the first process has told everything, and others nothing."""
    first, *others = commands
    assert first.text.count("step 1/6 ") == first.text.count("finished at step 6 of 6") == 1, first.text
    for other in others:  # torchrun may say there that the other node ended first
        assert other.stdout.read_text() == ""
        assert not any(said in other.text for said in ("recipe '", "step ", "finished", "run folder")), other.text
    runs = [path.parent for path in first.out.rglob("resolved.toml")]
    assert runs == [first.out / "run"] and left(first.out) == []


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [torchrun, mpirun, srun])
def test_every_launcher_gives_the_same_run_bit_for_bit(
    launcher: Callable[[Path], list[Command]], launched: list[Command], tmp_path: Path
) -> None:
    commands = launcher(tmp_path)
    assert [command.wait() for command in commands] == [0] * len(commands), [command.text for command in commands]
    told_once(commands)
    assert len(entries(tmp_path)) == STEPS and entries(tmp_path) == entries(launched[0].out)
    assert final(tmp_path / "run") == final(launched[0].out / "run")


def begin(out: Path, resume: bool) -> Command:
    """Start a run that is to be stopped, or go on with it, and wait until it trains."""
    arguments = ["run", "--resume", str(out / "run")] if resume else new(out, ENDLESS, *TWO)
    command = start([*MMX, *arguments, "--json"], out)
    command.has_trained(4)
    assert sorted(command.ranks()) == [0, 1]
    return command


def is_as_if_never_stopped(out: Path, whole: Path) -> None:
    """Let a run go on for a few steps to its end, and check that it equals one that was never stopped."""
    steps = final(out / "run").step + 2
    command = start([*MMX, "run", "--resume", str(out / "run"), "--set", f"train.steps={steps}"], out)
    assert command.wait() == 0, command.text
    straight = start([*MMX, *new(whole, steps, *TWO)], whole)
    assert straight.wait() == 0, straight.text
    assert len(entries(out)) == steps and entries(out) == entries(whole)
    assert final(out / "run") == final(whole / "run")


@pytest.mark.slow
def test_signals_save_and_stop_and_the_run_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "stopped"
    for leg, (number, code) in enumerate(CODES.items()):
        stopped(begin(out, resume=leg > 0), number, code)
    is_as_if_never_stopped(out, tmp_path / "whole")


def stopped(command: Command, number: Signals, code: int) -> None:
    """Stop a run by a signal to the process that was started, as Ctrl-C and ``kill`` do."""
    command.process.send_signal(number)
    assert command.wait() == code, command.text
    assert left(command.out) == [] and "Traceback" not in command.text
    run = command.out / "run"
    status, last = RunFolder(run).status(), read_lines(run / "metrics.jsonl")[-1]
    assert (status.status, status.reason) == ("stopped", f"received {number.name}")
    assert final(run).step == status.step == len(entries(command.out)) == last["step"]
    assert command.text.count(f"mmx run --resume {run}") == 1
    summary = json.loads(command.stdout.read_text())
    assert (summary["status"], summary["step"], summary["exit_code"]) == ("stopped", status.step, code)


@pytest.mark.slow
def test_killed_processes_leave_none_and_the_run_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "killed"
    for leg, rank in enumerate((1, 0)):
        one_killed(begin(out, resume=leg > 0), rank)
    parent_killed(begin(out, resume=True))
    is_as_if_never_stopped(out, tmp_path / "whole")


def one_killed(command: Command, rank: int) -> None:
    os.kill(command.ranks()[rank], signal.SIGKILL)
    assert gone(command.out, GRACE + 5), "they wait for one that is no more"
    code, why = command.wait(), f"rank {rank} of 2 (they count from 0) was ended by SIGKILL"
    assert code not in (0, *CODES.values()) and command.text.count(f"error: {why}") == 1
    error = json.loads(command.stdout.read_text())["error"]
    assert error["exit"] == code and error["message"].startswith(why)
    assert "bug in mmx" not in command.text and "Traceback" not in command.text
    assert final(command.out / "run").step >= 2


def parent_killed(command: Command) -> None:
    command.process.kill()
    assert command.wait() == -signal.SIGKILL
    assert gone(command.out, ORPHANED), "they outlive the one that started them"
    status = RunFolder(command.out / "run").status()
    assert status.status == "stopped" and final(command.out / "run").step == status.step == len(entries(command.out))


SAMPLES: Final = 48
BATCH: Final = 16
ORDER: Final = Order(SAMPLES, BATCH, seed=0)
TORN: Final = tuple(ticket.index for ticket in ORDER.tickets(1)[BATCH // 2 :][:3])
"""Samples that rank 1 reads in step 2."""


def name(sample: int) -> str:
    """Return a sample's key: its shard's name, and its own in there."""
    return f"{sample // 24}/{sample:02d}"


def shards(folder: Path) -> tuple[str, ...]:
    """Write two tars with pictures, some of which are none, and return the options that read them."""
    folder.mkdir()
    for shard in range(2):
        with tarfile.open(folder / f"{shard}.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
            for sample in range(24 * shard, 24 * shard + 24):
                picture = io.BytesIO()
                Image.linear_gradient("L").rotate(7 * sample).resize((32, 32)).save(picture, "PNG")
                add(tar, f"{sample:02d}.png", picture.getvalue()[: 60 if sample in TORN else None])
                add(tar, f"{sample:02d}.txt", f"picture {sample}".encode())
    urls = json.dumps([str(folder / "{0..1}.tar")])
    return ('data.train.name="shards"', f"data.train.urls={urls}")


def add(tar: tarfile.TarFile, member: str, data: bytes) -> None:
    info = tarfile.TarInfo(member)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def data_of(folder: Path, share: float) -> tuple[str, ...]:
    return (*shards(folder), f"data.bad_samples={share}")


@pytest.mark.slow
def test_bad_samples_of_one_rank_are_skipped_by_all(tmp_path: Path) -> None:
    options = data_of(tmp_path / "data", 0.5)
    without = [word for key in ("split", "styles") for word in ("--unset", f"data.train.{key}")]
    two = start([*MMX, *new(tmp_path / "two", STEPS, *TWO, *options), *without], tmp_path / "two")
    assert two.wait() == 0, two.text
    one = start([*MMX, *new(tmp_path / "one", STEPS, *options), *without], tmp_path / "one")
    assert one.wait() == 0, one.text
    skipped = 0
    rows = [row for row in read_lines(tmp_path / "two" / "run" / "metrics.jsonl") if row["kind"] == "step"]
    for step, (mine, alone) in enumerate(zip(entries(tmp_path / "two"), entries(tmp_path / "one"), strict=True)):
        read = [ticket.index for ticket in ORDER.tickets(step)]
        good = [name(sample) for sample in read if sample not in TORN]
        trained, over = good[: len(good) // 2 * 2], good[len(good) // 2 * 2 :]
        assert set(alone.skipped) == {name(sample) for sample in read if sample in TORN}
        assert mine.digest == digest(trained) and mine.skipped == (*alone.skipped, *over)
        assert len(trained) + len(mine.skipped) == mine.rows == BATCH
        skipped += len(mine.skipped)
        assert rows[step]["skipped"] == skipped
    assert len(entries(tmp_path / "two")[1].skipped) == len(TORN) + 1 and skipped > 2 * len(TORN)
    for sample in TORN:
        assert two.stdout.read_text().count(f"skipped {name(sample)}: ") == 1
    assert two.stdout.read_text().count("left out, since the 13 good samples of the step do not divide over 2") == 1


@pytest.mark.slow
def test_too_many_bad_samples_of_one_rank_stop_all(tmp_path: Path) -> None:
    out = tmp_path / "two"
    without = [word for key in ("split", "styles") for word in ("--unset", f"data.train.{key}")]
    command = start([*MMX, *new(out, STEPS, *TWO, *data_of(tmp_path / "data", 0.02)), *without, "--json"], out)
    assert command.wait() == 4, command.text
    assert left(out) == [] and len(entries(out)) == 1
    assert command.text.count("error: bad samples in epoch 0: ") == 1, command.text
    assert "rank 1" not in command.text and "Traceback" not in command.text
    error = json.loads(command.stdout.read_text())["error"]
    assert (error["type"], error["exit"]) == ("DataError", 4)
    assert f"bad samples in epoch 0: {len(TORN)} so far" in error["message"]
    assert RunFolder(out / "run").status().status == "failed"


@pytest.mark.slow
def test_a_dry_run_starts_no_processes_and_says_so(tmp_path: Path) -> None:
    command = start([*MMX, *new(tmp_path, STEPS, *TWO), "--dry-run"], tmp_path)
    seen: set[int] = set()
    while command.process.poll() is None:
        seen |= set(left(tmp_path))
    assert command.wait() == 0, command.text
    assert seen == {command.process.pid} and not (tmp_path / "run").exists()
    assert "a dry run starts no processes: the run would be 2" in command.stdout.read_text()
    assert "nothing was trained" in command.stdout.read_text()


def test_a_dry_run_of_several_processes_is_refused_by_each(tmp_path: Path) -> None:
    commands = slurm([*new(tmp_path, STEPS, *TWO), "--dry-run"], tmp_path)
    assert [command.wait() for command in commands] == [2, 2]
    why = "Slurm started 2 processes, but a dry run is one"
    assert all(command.text.count(why) == 1 for command in commands)


def test_an_error_of_all_processes_is_one_document(tmp_path: Path) -> None:
    options = (*TWO, "parallel.processes=3", "parallel.tensor=3")
    command = start([*MMX, *new(tmp_path, STEPS, *options), "--json"], tmp_path)
    assert command.wait() == 2, command.text
    error = json.loads(command.stdout.read_text())["error"]
    assert (error["type"], error["exit"]) == ("RecipeError", 2)
    assert "the nearest layout: parallel.tensor = 2" in error["message"]
    assert command.text.count("parallel.tensor = 3 does not divide") == 1 and not (tmp_path / "run").exists()


@pytest.mark.slow
def test_torchrun_of_a_recipe_for_one_process_is_refused_once(tmp_path: Path) -> None:
    nodes = ["--nproc-per-node", "2", "--master-addr", "127.0.0.1", "--master-port", str(free_port())]
    command = start([sys.executable, "-m", "torch.distributed.run", *nodes, "-m", "mmx", *new(tmp_path, 6)], tmp_path)
    assert command.wait() != 0
    why = 'torchrun started 2 processes, but parallel.engine = "local" runs in one; start mmx alone, or set'
    assert command.text.count(why) == 1 and not (tmp_path / "run").exists() and left(tmp_path) == []


def test_a_recipe_for_one_process_is_refused_by_each(tmp_path: Path) -> None:
    commands = slurm(new(tmp_path, STEPS), tmp_path)
    assert [command.wait() for command in commands] == [2, 2]
    why = 'Slurm started 2 processes, but parallel.engine = "local" runs in one'
    assert all(command.text.count(why) == 1 for command in commands) and not (tmp_path / "run").exists()


@pytest.mark.slow
def test_another_number_of_processes_than_the_launchers_is_refused_by_each(tmp_path: Path) -> None:
    commands = slurm(new(tmp_path, STEPS, *TWO, "parallel.processes=3", "data.batch=18"), tmp_path)
    assert [command.wait() for command in commands] == [2, 2]
    assert all("parallel.processes = 3, but this run has 2" in command.text for command in commands)
    assert not (tmp_path / "run").exists() and left(tmp_path) == []

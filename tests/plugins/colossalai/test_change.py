"""Killed, and gone on with under other numbers of processes and of data workers: the same samples in every step.

On tars that are mixed and filtered; samples, losses and counts by source are those of one process that nobody killed.
"""

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pytest
from launched import MMX, TWO, Command, entries, gone, left, new, start

from mmx.runs.layout import RunFolder
from mmx.runs.ledger import Entry
from mmx.runs.lines import read_lines
from mmx_toy.mixed import KEPT, LOW, MIXES, SMALL, mixed
from mmx_toy.proof import counted, starts

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(find_spec("colossalai") is None, reason="ColossalAI is not installed"),
]
ENDLESS: Final = 10**6
"""Steps of runs that are killed: no machine takes them all."""
BATCH: Final = 16


NAIVE: Final = """
from mmx.data.order import Asked, Order
from mmx.plugin.hookspecs import hookimpl

def asked(self, start, stop, rank=0, ranks=1, ahead=0):
    for step in range(stop - start):
        yield Asked(self.tickets(step)[rank::ranks], ())

Order.asked = asked

@hookimpl
def mmx_run_start():
    pass
"""
"""A plugin file with which a run starts its data over when it goes on."""


def begin(out: Path, steps: int, *options: str, words: Sequence[str] = ()) -> Command:
    """Start a run of one process."""
    return start([*MMX, *new(out, steps, *options), "--unset", "data.train", *words], out)


def go_on(out: Path, *options: str, words: Sequence[str] = ()) -> Command:
    """Go on with a run that was killed."""
    sets = [word for option in options for word in ("--set", option)]
    return start([*MMX, "run", "--resume", str(out / "run"), *sets, *words], out)


def strike(command: Command, ranks: int) -> list[Entry]:
    """Kill all processes of a run at once, some steps after its start; return the rows that its ledger has then."""
    run = command.out / "run"
    command.has_trained(5)
    assert len(command.ranks()) == ranks and command.process.poll() is None
    for pid in left(command.out):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert command.wait() == -signal.SIGKILL and gone(command.out, 10)
    found = entries(command.out)
    assert len(found) > starts(run)[-1] + 2, "it was killed before it had trained"
    assert RunFolder(run).status().status == "running", "it had time to say goodbye"
    return found


def ended(command: Command) -> Path:
    """Wait for the end of a run."""
    assert command.wait() == 0, command.text
    return command.out


def data_of(folder: Path, mix: str) -> tuple[str, ...]:
    return (*mixed(folder, bad=False), *MIXES[mix], "train.log_every=3", "data.workers=0")


def unlike(found: Sequence[Entry], whole: Path) -> list[int]:
    """Return the steps that were trained on other samples than those of the unbroken run."""
    wanted = {entry.step: (entry.epoch, entry.start, entry.rows, entry.digest) for entry in entries(whole)}
    return [one.step for one in found if (one.epoch, one.start, one.rows, one.digest) != wanted[one.step]]


# Short names: data workers have sockets in their folder for temporary files, and paths of sockets are short.
@pytest.mark.parametrize("mix", MIXES, ids=lambda mix: mix[0])
def test_change(mix: str, tmp_path: Path) -> None:
    given, out = data_of(tmp_path / "data", mix), tmp_path / "c"
    killed = strike(begin(out, ENDLESS, *given), ranks=0)
    killed += strike(go_on(out, *TWO, "data.workers=2"), ranks=2)
    steps = len(entries(out)) + 4
    ended(go_on(out, "data.workers=1", f"train.steps={steps}", words=["--unset", "parallel"]))
    whole = ended(begin(tmp_path / "whole", steps, *given))

    begun = starts(out / "run")
    assert len(begun) == 3 and 0 == begun[0] < begun[1] < begun[2] < steps, "a leg did not go on from a checkpoint"
    assert [entry.step for entry in entries(out)] == [entry.step for entry in entries(whole)] == [*range(1, steps + 1)]
    assert unlike([*killed, *entries(out)], whole) == []
    losses = {entry.step: entry.loss for entry in entries(whole)}
    for entry in (*killed, *entries(out)):
        assert entry.loss == pytest.approx(losses[entry.step], rel=2e-6)
    assert counted(out / "run") == counted(whole / "run") and set(counted(out / "run")) == set(KEPT)
    assert sum(trained for trained, _ in counted(out / "run").values()) == steps * BATCH
    row = next(row for row in read_lines(out / "run" / "metrics.jsonl") if row["kind"] == "run")
    assert row["left_out"] == {"sources.drawn.keep.fields.score": LOW, "sources.found.keep.min_side": SMALL}


def test_naive(tmp_path: Path) -> None:
    given, out = data_of(tmp_path / "data", "weights"), tmp_path / "c"
    plugin = tmp_path / "naive.py"
    plugin.write_text(NAIVE)
    words = ["--plugin", str(plugin)]
    killed = strike(begin(out, ENDLESS, *given, words=words), ranks=0)
    steps = len(killed) + 4
    ended(go_on(out, *TWO, "data.workers=2", f"train.steps={steps}", words=words))
    whole = ended(begin(tmp_path / "whole", steps, *given))
    assert unlike(killed, whole) == [] and unlike(entries(out), whole) == [
        *range(starts(out / "run")[1] + 1, steps + 1)
    ]

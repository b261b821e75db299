"""The ledger names the samples of every step, and reads after a resume as if nothing had happened."""

import hashlib
import math
from pathlib import Path

import pytest

from mmx.errors import CheckpointError
from mmx.runs.ledger import Entry, Ledger, digest, read


def fill(ledger: Ledger, first: int, last: int) -> None:
    for step in range(first, last + 1):
        ledger.append(step, 0, 4 * (step - 1), 4, [f"a{step}", f"b{step}"], [f"bad{step}"], loss=1 / step)


def test_a_step_reads_back_as_it_was_written(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append(1, 2, 96, 32, ["x", "ünï\ud800"], ["y"], loss=0.1 + 0.2)
    ledger.append(2, 2, 128, 32, [], [], loss=5e-324)
    first, second = read(ledger.path)
    assert first == Entry(1, 2, 96, 32, digest(["x", "ünï\ud800"]), ("y",), 0.1 + 0.2)
    assert second.loss == 5e-324 and second.skipped == ()


def test_the_digest_is_of_the_keys_in_their_order(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append(1, 0, 0, 2, ["a", "b"], [], 0.0)
    assert read(ledger.path)[0].digest == hashlib.sha256(b"a\nb").hexdigest() != digest(["b", "a"])


def test_a_loss_that_is_no_number_is_kept_too(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append(1, 0, 0, 1, ["a"], [], math.nan)
    assert math.isnan(read(ledger.path)[0].loss)


def test_a_line_is_there_at_once(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    for step in (1, 2):
        fill(ledger, step, step)
        assert len(read(ledger.path)) == step


def test_a_resumed_run_reads_as_one_that_was_never_interrupted(tmp_path: Path) -> None:
    straight, resumed = Ledger(tmp_path / "straight.jsonl"), Ledger(tmp_path / "resumed.jsonl")
    fill(straight, 1, 30)
    fill(resumed, 1, 25)
    with resumed.path.open("ab") as file:
        file.write(b'{"step": 26, "epo')
    again = Ledger(resumed.path)
    cut = again.truncate(20)
    assert (cut.later, cut.unreadable) == (5, 1)
    fill(again, 21, 30)
    assert resumed.path.read_bytes() == straight.path.read_bytes()


def test_a_file_that_needs_no_cut_is_left_alone(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    fill(ledger, 1, 3)
    before = ledger.path.stat()
    cut = ledger.truncate(3)
    assert (cut.later, cut.unreadable) == (0, 0)
    assert (ledger.path.stat().st_ino, ledger.path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_ledger_that_was_open_can_be_cut_and_goes_on(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    fill(ledger, 1, 5)
    ledger.truncate(2)
    fill(ledger, 3, 4)
    ledger.sync()
    ledger.close()
    assert [entry.step for entry in read(ledger.path)] == [1, 2, 3, 4]


def test_no_ledger_has_no_entries(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    assert read(ledger.path) == [] and ledger.truncate(5).later == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"step": 1}\n', "row 1: not a line of a ledger"),
        ('{"step": 1, "epoch": 0, "start": 0, "rows": 1, "digest": "", "skipped": [], "loss": "x"}\n', "row 1"),
        (
            '{"step": 1, "epoch": 0, "start": 0, "rows": 1, "digest": "", "skipped": [], "loss": "0x1p0", "y": 1}\n',
            "row 1",
        ),
    ],
)
def test_what_is_no_ledger_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "ledger.jsonl").write_text(text)
    with pytest.raises(CheckpointError, match=said):
        read(tmp_path / "ledger.jsonl")


def test_missing_and_repeated_steps_are_refused(tmp_path: Path) -> None:
    gap, twice = Ledger(tmp_path / "gap.jsonl"), Ledger(tmp_path / "twice.jsonl")
    fill(gap, 1, 2)
    fill(gap, 4, 5)
    fill(twice, 1, 3)
    fill(twice, 3, 4)
    with pytest.raises(CheckpointError, match="step 2 is followed by step 4"):
        read(gap.path)
    with pytest.raises(CheckpointError, match="step 3 is followed by step 3"):
        read(twice.path)

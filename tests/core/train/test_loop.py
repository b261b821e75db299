"""The loop: what it writes down, what it skips, and where it stops before harm is done."""

import json
import math
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from mmx.data.order import Order
from mmx.errors import CheckpointError, DataError, MmxError, PluginError, TrainingError
from mmx.parts.events import Step
from mmx.plugin.hookspecs import hookimpl
from mmx.runs.layout import RunFolder
from mmx.runs.ledger import digest
from mmx.runs.lines import read_lines
from mmx.train.loop import Loop
from mmx.train.session import Session
from mmx.train.step import StepLoss
from mmx_toy.proof import entries, final
from mmx_toy.start import MATCH, sit, start
from mmx_toy.watch import AtStep

BAD = ("data.train.bad=[3, 17]", "data.bad_samples=0.05")


def test_writes_every_step_into_metrics_and_ledger(whole: Path) -> None:
    rows = [row for row in read_lines(whole / "metrics.jsonl") if row["kind"] == "step"]
    found = entries(whole)
    assert [row["step"] for row in rows] == [entry.step for entry in found] == list(range(1, 19))
    assert [row["loss"] for row in rows] == [entry.loss for entry in found]
    assert [row["lr"] for row in rows[:3]] == pytest.approx([1e-2 / 3, 2e-2 / 3, 1e-2])
    assert all(math.isfinite(row["gradient_norm"]) and row["scale"] > 1 and row["skipped"] == 0 for row in rows)
    assert rows[-1]["left"] == 0 and rows[6]["epoch"] == 1


def test_the_first_step_is_shown_and_written_down_too(tmp_path: Path) -> None:
    session, observed = sit(tmp_path, "train.log_every=5", "train.steps=12")
    seen: list[int] = []
    observed.add(Seen(seen), "seen")
    session.run(None)
    rows = [row["step"] for row in read_lines(tmp_path / "run" / "metrics.jsonl") if row["kind"] == "step"]
    assert seen == [1, 5, 10, 12] and rows == [1, 5, 10, 12]


class Seen:
    def __init__(self, steps: list[int]) -> None:
        self.steps = steps

    @hookimpl
    def mmx_step_end(self, step: Step) -> None:
        self.steps.append(step.step)


def test_the_ledger_names_the_samples_of_the_order(whole: Path) -> None:
    order = Order(44, 6, 0)
    for entry in entries(whole):
        epoch, first = order.place(entry.step - 1)
        keys = [f"toy-{ticket.index:04}" for ticket in order.tickets(entry.step - 1)]
        assert (entry.epoch, entry.start, entry.digest) == (epoch, first, digest(keys))


def test_two_runs_of_one_recipe_are_equal_and_another_seed_is_not(whole: Path, tmp_path: Path) -> None:
    start(tmp_path / "same", *MATCH)
    start(tmp_path / "other", "seed=1")
    assert final(tmp_path / "same" / "run") == final(whole)
    assert [entry.loss for entry in entries(tmp_path / "other" / "run")] != [entry.loss for entry in entries(whole)]


@pytest.mark.parametrize("workers", [0, 2])
def test_bad_samples_are_skipped_named_once_and_counted(workers: int, tmp_path: Path) -> None:
    said: list[str] = []
    start(tmp_path, *BAD, f"data.workers={workers}", say=said.append)
    skipped = [key for entry in entries(tmp_path / "run") for key in entry.skipped]
    assert sorted(set(skipped)) == ["toy-0003", "toy-0017"] and len(skipped) > 2
    assert [text for text in said if "skipped" in text].count("skipped toy-0003: is bad on purpose") == 1
    steps = [row for row in read_lines(tmp_path / "run" / "metrics.jsonl") if row["kind"] == "step"]
    assert steps[-1]["skipped"] == len(skipped)


def test_past_the_budget_the_run_stops_and_names_bad_samples(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"bad samples in epoch 0: 2 so far, more than the 1 .*toy-00.*: is bad"
    ) as caught:
        start(tmp_path, "data.train.bad=[3, 17]", "data.bad_samples=0.03")
    assert "toy-0003" in str(caught.value) and "toy-0017" in str(caught.value)
    assert caught.value.exit_code == 4 and RunFolder(tmp_path / "run").status().status == "failed"


def test_the_budget_is_not_renewed_by_resuming(tmp_path: Path) -> None:
    bad = ("data.train.bad=[3, 17]", "data.bad_samples=0.03", "checkpoint.every_steps=1")
    for resume in (None, str(tmp_path / "run"), str(tmp_path / "run")):
        with pytest.raises(DataError, match="bad samples in epoch 0: 2 so far"):
            start(tmp_path, *bad, resume=resume)


def test_a_batch_without_a_good_sample_stops_the_run(tmp_path: Path) -> None:
    order = [ticket.index for ticket in Order(44, 6, 0).tickets(1)]
    with pytest.raises(DataError, match=r"step 2 has 6 bad samples and too few good ones.*toy-"):
        start(tmp_path, f"data.train.bad={order}", "data.bad_samples=1.0")


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("data.train.samples=0", "has no samples"),
        ("data.batch=45", "data.batch = 45 is more than the 44 training samples"),
        ("data.train.blind=true", "has no picture"),
    ],
)
def test_data_that_cannot_be_trained_on_stops_the_run_at_once(override: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=text):
        start(tmp_path, override)
    assert not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    ("override", "kind", "text"),
    [
        ("data.train.lost=true", DataError, "the toy dataset is gone; put it back"),
        ("data.train.wrong=[0, 1, 2, 3, 4, 5, 6, 7]", PluginError, r"fails on the sample toy-000\d: KeyError"),
    ],
)
def test_errors_of_data_workers_arrive_as_they_were_meant(
    workers: int, override: str, kind: type[MmxError], text: str, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=text) as caught:
        start(tmp_path, override, f"data.workers={workers}")
    assert "Traceback" not in str(caught.value)


def test_a_data_worker_that_is_killed_stops_the_run_with_advice(tmp_path: Path) -> None:
    session, plugins = sit(tmp_path, "data.workers=1", "data.train.seconds=0.01")
    before = _children()
    plugins.add(AtStep(4, lambda: [os.kill(child, signal.SIGKILL) for child in _children() - before]), "killer")
    with pytest.raises(DataError, match=r"a data worker ended by itself .*lower data.workers"):
        session.run(None)
    assert RunFolder(tmp_path / "run").status().status == "failed" and _children() <= before


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_what_is_not_finite_stops_the_run_before_the_update(what: str, tmp_path: Path) -> None:
    session, plugins = sit(tmp_path, f"losses.match.fail='{what}'", "losses.match.at=7")
    taken: list[dict[str, torch.Tensor]] = []
    plugins.add(AtStep(7, lambda: taken.append(_weights(session))), "watch")
    with pytest.raises(TrainingError, match=r"of step 8 is (inf|nan); stopped before the update") as caught:
        session.run(None)
    named = "loss (losses.match)" if what == "loss" else "gradient norm"
    assert f"the {named} of step 8 is " in str(caught.value) and caught.value.exit_code == 6
    order = Order(44, 6, 0)
    assert all(f"toy-{ticket.index:04}" in str(caught.value) for ticket in order.tickets(7))
    assert len(taken) == 1 and all(torch.equal(value, taken[0][name]) for name, value in _weights(session).items())
    folder = RunFolder(tmp_path / "run")
    assert (folder.status().status, folder.status().step) == ("failed", 7)
    assert final(folder.path).step == 5 and len(entries(folder.path)) == 7


def test_what_is_not_finite_at_once_is_not_gone_on_with(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"of step 1 is .* the loss itself or the data is at fault"):
        start(tmp_path, "losses.match.fail='loss'", "losses.match.at=0")
    assert read_lines(tmp_path / "run" / "metrics.jsonl")[-1]["resume"] == ""


def test_a_run_that_failed_goes_on_from_its_last_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(TrainingError):
        start(tmp_path, "losses.match.fail='loss'", "losses.match.at=7", "train.steps=9")
    ended = read_lines(tmp_path / "run" / "metrics.jsonl")[-1]
    assert ended["resume"] == f"mmx run --resume {tmp_path / 'run'}" and ended["exit_code"] == 6
    # The loss fails again, which shows that it went on to that very step.
    with pytest.raises(TrainingError, match="of step 8 "):
        start(tmp_path, recipe=None, resume=str(tmp_path / "run"))


def test_a_broken_observer_is_named_once_and_changes_nothing(whole: Path, tmp_path: Path) -> None:
    said: list[str] = []
    assert start(tmp_path, *MATCH, "trackers.broken.name='broken'", say=said.append).exit_code == 0
    told = [text for text in said if "broken" in text and " times, the first time: " not in text]
    assert len([text for text in said if " times, the first time: " in text]) == 2
    assert [text.partition(" failed")[0] for text in told[:-1]] == [
        f"tracker broken: mmx_{hook}" for hook in ("run_start", "step_end", "evaluation_end", "run_end")
    ]
    assert "could not be closed" in told[-1]
    assert final(tmp_path / "run") == final(whole)
    kinds = [[row["kind"] for row in read_lines(run / "metrics.jsonl")] for run in (whole, tmp_path / "run")]
    assert kinds[0] == kinds[1]


def test_evaluating_does_not_change_the_training(whole: Path, tmp_path: Path) -> None:
    start(tmp_path)
    assert final(tmp_path / "run").files == final(whole).files


def test_an_evaluator_that_fails_loses_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        start(tmp_path, *MATCH, "evaluators.match.fail=true")
    assert final(tmp_path / "run").step == 4 and RunFolder(tmp_path / "run").status().status == "failed"


def test_micro_batches_give_the_same_trajectory(tmp_path: Path) -> None:
    still = ("image_encoder.dropout=0.0", "text_encoder.dropout=0.0", "data.batch=8", "train.ema=0.5")
    for pieces in (1, 4):
        start(tmp_path, *still, f"train.micro_batches={pieces}", name=f"m{pieces}")
    one, four = ([entry.loss for entry in entries(tmp_path / name)] for name in ("m1", "m4"))
    assert four == pytest.approx(one, rel=1e-4) and one[0] != one[-1]


def test_dropout_is_on_while_training(whole: Path, tmp_path: Path) -> None:
    start(tmp_path, "image_encoder.dropout=0.0", "text_encoder.dropout=0.0", "train.steps=3")
    assert entries(tmp_path / "run")[0].loss != entries(whole)[0].loss


def test_no_space_for_a_row_of_metrics_ends_the_run_with_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, plugins = sit(tmp_path)
    write = os.write

    def full(handle: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    plugins.add(AtStep(7, lambda: monkeypatch.setattr(os, "write", full)), "fill")
    with pytest.raises(CheckpointError, match="No space left") as caught:
        session.run(None)
    monkeypatch.setattr(os, "write", write)
    assert caught.value.exit_code == 5
    start(tmp_path, recipe=None, resume=str(tmp_path / "run"))
    assert len(entries(tmp_path / "run")) == 18


def test_the_summary_is_plain_json(whole: Path, tmp_path: Path) -> None:
    summary = start(tmp_path, "train.steps=3", "evaluators.match.name='toy'").summary
    assert json.loads(json.dumps(summary)) == summary
    assert summary["status"] == "finished" and summary["evaluations"]["match"]["training"]["value"] == 0


def _weights(session: Session) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in session.experiment.objective.named_parameters()}


def _children() -> set[int]:
    return {int(child) for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}


@pytest.mark.parametrize("within", [False, True])
def test_a_worker_that_dies_costs_no_step_that_was_taken(
    within: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, plugins = sit(tmp_path, "data.workers=1", "checkpoint.every_steps=100")
    before, real = _children(), Loop._look_at

    def kill() -> None:
        for child in _children() - before:
            os.kill(child, signal.SIGKILL)

    def look_at(loop: Loop, loss: StepLoss, keys: Sequence[str]) -> None:
        if loop.step == 5:
            kill()
            for _ in range(100):  # torch's own handler raised here
                time.sleep(0.001)
        real(loop, loss, keys)

    if within:
        monkeypatch.setattr(Loop, "_look_at", look_at)
    else:
        plugins.add(AtStep(4, kill), "kill")
    with pytest.raises(DataError, match="a data worker ended by itself"):
        session.run(None)
    reached = len(entries(tmp_path / "run"))
    assert reached >= 4 and final(tmp_path / "run").step == reached, "what was reached is saved"

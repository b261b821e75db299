"""Going on with a run: what may change, which checkpoint it goes on from, and that nothing starts over by itself."""

import errno
import os
from pathlib import Path

import pytest

from mmx.errors import CheckpointError, RecipeError
from mmx.runs.layout import RunFolder
from mmx.runs.lines import read_lines
from mmx_toy.proof import entries, final, starts
from mmx_toy.start import MATCH, crash, sit, start
from mmx_toy.watch import AtStep


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("step", [6, 9, 14])
@pytest.mark.parametrize("workers", [0, 1, 2])
def test_a_run_that_crashed_becomes_the_run_it_would_have_been(
    step: int, workers: int, whole: Path, tmp_path: Path
) -> None:
    # Checkpoints of steps 4, 8, 12 and 16, of epochs of 7 steps.
    run = crash(tmp_path, step, *MATCH)
    said: list[str] = []
    start(tmp_path, f"data.workers={workers}", recipe=None, resume=str(run), say=said.append)
    assert final(run) == final(whole) and entries(run) == entries(whole)
    assert starts(run) == [0, {6: 4, 9: 8, 14: 12}[step]]
    assert any("ledger.jsonl" in text and "cut off" in text for text in said)
    kinds = [
        [row["step"] for row in read_lines(path / "metrics.jsonl") if row["kind"] == "step"] for path in (run, whole)
    ]
    assert kinds[0] == kinds[1]


@pytest.mark.parametrize("step", [7, 8])
def test_going_on_at_the_border_of_an_epoch(step: int, whole: Path, tmp_path: Path) -> None:
    run = crash(tmp_path, step, *MATCH, "checkpoint.every_steps=7")
    start(tmp_path, recipe=None, resume=str(run))
    assert final(run) == final(whole) and entries(run) == entries(whole)


def test_a_run_without_a_checkpoint_starts_from_the_beginning_and_says_so(whole: Path, tmp_path: Path) -> None:
    run = crash(tmp_path, 3, *MATCH)
    said: list[str] = []
    start(tmp_path, recipe=None, resume=str(run), say=said.append)
    assert f"{run} was stopped before its first checkpoint; it starts from the beginning" in said
    assert final(run) == final(whole)


def test_a_damaged_checkpoint_is_passed_over_and_named(whole: Path, tmp_path: Path) -> None:
    run = crash(tmp_path, 9, *MATCH)
    flip(run / "checkpoints" / "step-00000008" / "optimizer.safetensors")
    said: list[str] = []
    start(tmp_path, recipe=None, resume=str(run), say=said.append)
    assert any("step-00000008" in text and "optimizer.safetensors was changed" in text for text in said)
    assert "using step-00000004 instead, which is good" in said
    assert starts(run) == [0, 4] and final(run) == final(whole) and entries(run) == entries(whole)


@pytest.mark.parametrize("damage", ["flipped", "emptied", "removed"])
def test_without_a_good_checkpoint_nothing_starts_over(damage: str, tmp_path: Path) -> None:
    run = crash(tmp_path, 9, *MATCH)
    for path in (run / "checkpoints").glob("step-*/model.safetensors"):
        if damage == "flipped":
            flip(path)
        elif damage == "emptied":
            path.write_bytes(b"")
        else:
            path.unlink()
    before = (run / "ledger.jsonl").read_bytes()
    with pytest.raises(CheckpointError, match="mmx does not start over by itself") as caught:
        start(tmp_path, recipe=None, resume=str(run))
    assert "step-00000008" in str(caught.value) and "step-00000004" in str(caught.value)
    assert (run / "ledger.jsonl").read_bytes() == before


def test_unsafe_changes_are_refused_all_together(tmp_path: Path) -> None:
    run = crash(tmp_path, 6)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    unsafe = ("seed=3", "data.batch=4", "image_encoder.width=9", "train.ema=0.5", "preprocess.size=8")
    with pytest.raises(RecipeError, match="cannot change when a run is resumed") as caught:
        start(tmp_path, *unsafe, "optim.lr=0.1", recipe=None, resume=str(run))
    text = str(caught.value)
    expected = ("data.batch: 6 -> 4", "image_encoder.width: 8 -> 9", "preprocess.size: 6 -> 8", "seed: 0 -> 3")
    assert all(f"  {change}\n" in text for change in (*expected, "train.ema: 0.9 -> 0.5")) and "optim" not in text
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_a_view_that_is_added_or_removed_is_refused(tmp_path: Path) -> None:
    run = crash(tmp_path, 6)
    with pytest.raises(RecipeError, match=r"data.images.second.name: not given -> toy"):
        start(tmp_path, "data.images.second.name='toy'", recipe=None, resume=str(run))


def test_safe_changes_are_shown_and_kept(tmp_path: Path) -> None:
    run = crash(tmp_path, 6)
    said: list[str] = []
    safe = ("optim.lr=0.002", "train.steps=10", "data.workers=1", *MATCH)
    start(tmp_path, *safe, recipe=None, resume=str(run), say=said.append)
    (shown,) = (text for text in said if text.startswith("changed for the rest of this run"))
    assert all(
        f"  {change}" in shown
        for change in ("optim.lr: 0.01 -> 0.002", "train.steps: 18 -> 10", "data.workers: 0 -> 1")
    )
    assert "lr = 0.002" in (run / "resolved.toml").read_text() and final(run).step == 10
    last = [row for row in read_lines(run / "metrics.jsonl") if row["kind"] == "step"][5]
    assert last["lr"] < 0.002


def test_the_run_s_own_recipe_may_be_given_and_is_compared(whole: Path, tmp_path: Path) -> None:
    run = crash(tmp_path, 9, *MATCH)
    said: list[str] = []
    start(tmp_path, *MATCH, resume=str(run), say=said.append)
    assert final(run) == final(whole) and not any("changed for" in text for text in said)


def test_a_run_that_ended_between_its_last_checkpoint_and_its_model_is_completed(whole: Path, tmp_path: Path) -> None:
    run = crash(tmp_path, 18, *MATCH)
    start(tmp_path, "train.steps=18", recipe=None, resume=str(run))
    (run / "model" / "model.json").unlink()
    RunFolder(run).write_status("running", 18)
    result = start(tmp_path, recipe=None, resume=str(run))
    assert result.summary["status"] == "finished" and result.summary["evaluations"]["match"]
    assert final(run) == final(whole) and (run / "model" / "model.json").is_file()


def test_auto_takes_the_newest_unfinished_run_of_the_recipe(tmp_path: Path) -> None:
    finished = start(tmp_path, "train.steps=3", name="finished").summary["run"]
    run, said = crash(tmp_path, 6), list[str]()
    assert start(tmp_path, resume="auto", say=said.append).summary["run"] == str(run)
    assert f"going on with the run {run}" in said and finished != str(run)


def test_auto_goes_by_the_recipe_s_name_not_its_file_s(tmp_path: Path) -> None:
    run = crash(tmp_path, 6, "name='renamed'")
    said: list[str] = []
    assert start(tmp_path, "name='renamed'", resume="auto", say=said.append).summary["run"] == str(run)
    assert starts(run) == [0, 5]


def test_auto_starts_a_new_run_where_there_is_none_and_says_so(tmp_path: Path) -> None:
    said: list[str] = []
    assert start(tmp_path, "train.steps=3", resume="auto", say=said.append).exit_code == 0
    assert any("no unfinished run of toy" in text for text in said)


def test_auto_without_a_recipe_and_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="--resume auto needs the recipe"):
        start(tmp_path, recipe=None, resume="auto")
    with pytest.raises(CheckpointError, match="does not exist"):
        start(tmp_path, recipe=None, resume=str(tmp_path / "nothing"))
    with pytest.raises(RecipeError, match="which recipe"):
        start(tmp_path, recipe=None)


def test_a_run_that_is_being_written_is_refused(tmp_path: Path) -> None:
    # A lock belongs to a process, so the one that holds it is another.
    run = crash(tmp_path, 6)
    child = os.fork()
    if child == 0:
        with RunFolder(run).lock():
            (run / "locked").touch()
            while (run / "locked").exists():
                pass
            os._exit(0)
    while not (run / "locked").exists():
        pass
    with pytest.raises(CheckpointError, match=f"is being written by process {child} "):
        start(tmp_path, recipe=None, resume=str(run))
    (run / "locked").unlink()
    os.waitpid(child, 0)


@pytest.mark.parametrize("of", ["checkpoints", "model"])
def test_no_space_while_saving_ends_the_run_and_loses_nothing(
    of: str, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, _ = sit(tmp_path, *MATCH)
    real, run, saved = os.open, session.folder.path, 0

    def full(path: str, flags: int, *rest: int) -> int:
        nonlocal saved
        if flags & os.O_CREAT and f"/{of}" in str(path):
            saved += 1
            if saved > (0 if of == "model" else 12):
                raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return real(path, flags, *rest)

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(CheckpointError, match="No space left on device") as caught:
        session.run(None)
    assert caught.value.exit_code == 5 and RunFolder(run).status().status == "failed"
    monkeypatch.undo()
    start(tmp_path, recipe=None, resume=str(run))
    assert final(run) == final(whole) and entries(run) == entries(whole)


def test_an_evaluation_that_cannot_be_written_loses_nothing(whole: Path, tmp_path: Path) -> None:
    session, plugins = sit(tmp_path, *MATCH)
    run = session.folder.path
    plugins.add(AtStep(1, (run / "evaluations").touch), "obstacle")
    with pytest.raises(CheckpointError, match="the evaluation of step 4 cannot be written"):
        session.run(None)
    (run / "evaluations").unlink()
    start(tmp_path, recipe=None, resume=str(run))
    assert starts(run) == [0, 4] and final(run) == final(whole)


def test_a_checkpoint_of_other_weights_is_refused(tmp_path: Path) -> None:
    run = crash(tmp_path, 6)
    resolved = run / "resolved.toml"
    resolved.write_text(resolved.read_text().replace("width = 8", "width = 9"))
    with pytest.raises(
        CheckpointError, match=r"the weights do not fit the recipe's model: .*model.*is \[8, 108\] there"
    ):
        start(tmp_path, recipe=None, resume=str(run))

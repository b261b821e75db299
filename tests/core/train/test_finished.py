"""A finished run is left as it is, unless more is asked for, and says what becomes of its schedule."""

from pathlib import Path

import pytest

from mmx.errors import RecipeError
from mmx.runs.layout import RunFolder
from mmx.runs.lines import read_lines
from mmx_toy.proof import final, starts
from mmx_toy.start import crash, start


def test_a_finished_run_says_so_and_is_left_as_it_is(tmp_path: Path) -> None:
    start(tmp_path, "train.steps=5")
    run = tmp_path / "run"
    before, said = final(run), list[str]()
    result = start(tmp_path, recipe=None, resume=str(run), say=said.append)
    assert result.exit_code == 0 and len(said) == 1
    assert said[0].startswith(f"{run} is finished: it has taken its 5 steps; nothing was done\n")
    assert said[0].endswith(f"\n  mmx run --resume {run} --set train.steps=10")
    assert final(run) == before and RunFolder(run).status().status == "finished"


def test_a_finished_run_that_is_asked_for_fewer_steps_keeps_its_recipe(tmp_path: Path) -> None:
    start(tmp_path, "train.steps=5")
    run = tmp_path / "run"
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert start(tmp_path, "train.steps=3", resume=str(run)).summary["status"] == "finished"
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_a_finished_run_that_is_asked_for_more_says_what_becomes_of_its_rate(tmp_path: Path) -> None:
    start(tmp_path, "train.steps=5")
    run, said = tmp_path / "run", list[str]()
    assert start(tmp_path, "train.steps=7", resume=str(run), say=said.append).summary["step"] == 7
    (text,) = (text for text in said if "had finished" in text)
    last = [row["lr"] for row in read_lines(run / "metrics.jsonl") if row["kind"] == "step"][-2]
    assert text.startswith(f"{run} had finished at step 5; it goes on to step 7") and f"{last:.3g} at the next" in text


def test_a_finished_run_without_a_status_goes_on_from_its_checkpoint_and_says_so(tmp_path: Path) -> None:
    start(tmp_path, "train.steps=5")
    run, said = tmp_path / "run", list[str]()
    (run / "status.json").unlink()
    assert start(tmp_path, recipe=None, resume=str(run), say=said.append).summary["status"] == "finished"
    assert any("whether the run has finished is not known" in text for text in said)
    assert RunFolder(run).status().status == "finished"


def test_more_steps_go_on_where_a_finished_run_ended(tmp_path: Path) -> None:
    constant = ("optim.schedule.name=constant", "train.steps=9")
    start(tmp_path / "long", *constant)
    start(tmp_path, "optim.schedule.name=constant", "train.steps=6")
    start(tmp_path, "train.steps=9", recipe=None, resume=str(tmp_path / "run"))
    assert final(tmp_path / "run") == final(tmp_path / "long" / "run")
    assert starts(tmp_path / "run") == [0, 6]


def test_a_stopped_run_is_not_asked_for_fewer_steps_than_it_has_taken(tmp_path: Path) -> None:
    run = crash(tmp_path, 7, "train.steps=9", "checkpoint.every_steps=3")
    before = (run / "resolved.toml").read_bytes()
    with pytest.raises(RecipeError, match=r"has taken 6 steps, but is asked for 4 steps in all .* ask for more"):
        start(tmp_path, "train.steps=4", recipe=None, resume=str(run))
    assert (run / "resolved.toml").read_bytes() == before
    assert start(tmp_path, "train.steps=7", recipe=None, resume=str(run)).summary["step"] == 7

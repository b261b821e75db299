"""The table of a run, and of one that was resumed."""

from pathlib import Path

from mmx.parts.events import Run, Step
from mmx_scaffold.templates.tracker.config import ThisPartConfig
from mmx_scaffold.templates.tracker.tracker import ThisPart


def run(folder: Path, start: int) -> Run:
    return Run("r", folder, {}, steps=4, start=start, parameters=1, trainable=1, samples=8, device="cpu")


def take(tracker: ThisPart, watched: Run, *steps: int) -> None:
    tracker.mmx_run_start(run=watched)
    for number in steps:
        step = Step(number, number / 2, 1 / number, {}, 0.1, 14.0, 1.0, 8.0, 1.0, 0.0, 0.0, 0)
        tracker.mmx_step_end(run=watched, step=step)


def test_rows(tmp_path: Path) -> None:
    tracker = ThisPart(ThisPartConfig(name="part", file="t.csv"))
    take(tracker, run(tmp_path, 0), 1, 2)
    text = "step,epoch,loss,lr,images_per_second\n1,0.5,1.0,0.1,8.0\n2,1.0,0.5,0.1,8.0\n"
    assert (tmp_path / "t.csv").read_text() == text


def test_a_resumed_run_has_each_step_once(tmp_path: Path) -> None:
    tracker = ThisPart(ThisPartConfig(name="part"))
    take(tracker, run(tmp_path, 0), 1, 2, 3)
    take(tracker, run(tmp_path, 2), 3, 4)
    rows = (tmp_path / "steps.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["step", "1", "2", "3", "4"]

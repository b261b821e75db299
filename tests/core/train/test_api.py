"""Running and evaluating from Python."""

import shutil
from pathlib import Path
from typing import final

import pytest

import mmx
import mmx.plugin.manager
from mmx.config import TrackerConfig
from mmx.errors import CheckpointError, MmxError, RecipeError
from mmx.evaluate.results import read_results
from mmx.parts.tracker import Tracker
from mmx.plugin.manager import Plugins
from mmx.recipe.load import load
from mmx.runs.layout import RunFolder
from mmx.runs.lines import read_lines
from mmx.runs.request import EvalRequest, RunRequest
from mmx.train import prepare
from mmx.train.api import evaluate_run
from mmx.train.api import run as run_prepared
from mmx_toy.start import MATCH, RECIPE, crash, plugins, start


def test_a_run_leaves_its_folder_complete(whole: Path) -> None:
    names = {path.name for path in whole.iterdir()}
    assert {"recipe.toml", "resolved.toml", "env.json", "metrics.jsonl", "ledger.jsonl", "status.json"} <= names
    assert {"checkpoints", "evaluations", "model", "last", "best", "README.md"} <= names
    assert sorted(path.name for path in (whole / "evaluations").iterdir()) == [
        f"step-{step:08d}" for step in (4, 8, 12, 16, 18)
    ]
    assert RunFolder(whole).status().status == "finished"
    first, *_, last = read_lines(whole / "metrics.jsonl")
    assert (first["kind"], first["start"], first["steps"], first["samples"]) == ("run", 0, 18, 44)
    assert (last["kind"], last["status"], last["exit_code"]) == ("end", "finished", 0)


def test_the_best_checkpoint_is_kept(tmp_path: Path) -> None:
    start(tmp_path, *MATCH, "train.steps=16", "checkpoint.keep_last=1")
    run = tmp_path / "run"
    scores = {
        row["step"]: row["numbers"]["similarity"]["value"]
        for row in read_lines(run / "metrics.jsonl")
        if row["kind"] == "evaluation"
    }
    best = max(scores, key=lambda step: scores[step])
    assert (run / "best").read_text() == f"step-{best:08d}\n"
    assert {path.name for path in (run / "checkpoints").iterdir()} == {f"step-{step:08d}" for step in (best, 16)}


def evaluate(run: Path, *overrides: str) -> tuple[dict[str, object], list[str]]:
    said: list[str] = []
    recipe = load(run / "resolved.toml", overrides, (), plugins().registries)
    result = evaluate_run(EvalRequest(run, overrides), plugins(), recipe, said.append)
    assert result.exit_code == 0
    return result.summary, said


def test_evaluating_a_finished_run_gives_what_it_gave_itself(whole: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(whole, tmp_path / "run"))
    before = read_results(run / "evaluations" / "step-00000018")["match"].numbers["similarity"].value
    shutil.rmtree(run / "evaluations")
    summary, said = evaluate(run)
    after = read_results(run / "evaluations" / "step-00000018")["match"].numbers["similarity"].value
    assert summary["step"] == 18 and after == before and any("similarity" in text for text in said)


def test_evaluating_an_unfinished_run_uses_its_newest_checkpoint(tmp_path: Path) -> None:
    run = crash(tmp_path, 9, *MATCH)
    expected = read_results(run / "evaluations" / "step-00000008")["match"].numbers["similarity"].value
    summary, said = evaluate(run)
    assert summary["step"] == 8 and "the run has not finished; using step-00000008" in said
    assert summary["evaluations"] == {
        "match": {"similarity": {**_number(summary), "value": expected}, "training": _number(summary, "training")}
    }


def _number(summary: dict[str, object], name: str = "similarity") -> dict[str, object]:
    evaluations = summary["evaluations"]
    assert isinstance(evaluations, dict)
    return evaluations["match"][name]


def test_evaluating_needs_an_evaluator_and_a_model(tmp_path: Path) -> None:
    recipe = load(RECIPE, (), (), plugins().registries)
    with pytest.raises(RecipeError, match=r"has no evaluator \(known: toy\); give one") as caught:
        evaluate_run(EvalRequest(tmp_path), plugins(), recipe, print)
    assert f"  mmx eval {tmp_path} --set 'evaluators.NAME.name=\"toy\"'" in str(caught.value)
    run = crash(tmp_path, 2, *MATCH)
    with pytest.raises(CheckpointError, match="has no checkpoint yet"):
        evaluate(run)


@pytest.fixture
def toy_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the toy plugin be all that is installed."""

    def few(*args: object, **options: object) -> Plugins:
        return plugins()

    monkeypatch.setattr(prepare, "Plugins", few)
    monkeypatch.setattr(mmx.plugin.manager, "Plugins", few)


@pytest.mark.usefixtures("toy_only")
def test_the_package_runs_resumes_and_loads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = mmx.run(RECIPE, overrides=["train.steps=6"], out=tmp_path, name="a", quiet=True)
    assert capsys.readouterr().out == "" and first.summary["run"] == str(tmp_path / "a")
    again = mmx.run(resume=tmp_path / "a", overrides=["train.steps=7"])
    assert again.summary["step"] == 7 and "train.steps: 6 -> 7" in capsys.readouterr().out
    assert mmx.load(tmp_path / "a").embed_texts(["a red", "a blue"]).shape == (2, 6)


@pytest.mark.usefixtures("toy_only")
def test_the_package_raises_what_the_command_line_prints(tmp_path: Path) -> None:
    with pytest.raises(MmxError, match="which recipe"):
        mmx.run(out=tmp_path)
    mmx.run(RECIPE, overrides=["train.steps=3"], out=tmp_path, name="a", quiet=True)
    with pytest.raises(CheckpointError, match=r"the run .* is there already") as caught:
        mmx.run(RECIPE, overrides=["train.steps=3"], out=tmp_path, name="a", quiet=True)
    assert f"mmx run --resume {tmp_path / 'a'}" in str(caught.value)
    with pytest.raises(CheckpointError, match="has no model: looked for") as caught:
        mmx.load(tmp_path)
    assert str(tmp_path / "model" / "model.json") in str(caught.value)
    assert str(caught.value).endswith(f"runs nearby:\n  {tmp_path / 'a'}")
    with pytest.raises(CheckpointError, match=f"nowhere does not exist: (.|\n)*nearby:\n  {tmp_path / 'a'}"):
        mmx.load(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="has no checkpoint yet; train first"):
        mmx.load(crash(tmp_path, 2))


@final
class Unusable(Tracker):
    def __init__(self, config: TrackerConfig) -> None:
        raise RecipeError("the tracker needs a package that is not installed")

    def close(self) -> None: ...


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_tracker_that_cannot_start_leaves_no_folder(dry_run: bool, tmp_path: Path) -> None:
    found = plugins()
    add = found.registries.owned_by("broken")
    add("tracker", "unusable", config=TrackerConfig, part=f"{__name__}:Unusable", summary="cannot start")
    request = RunRequest(RECIPE, ("trackers.a.name='unusable'",), out=tmp_path / "runs", name="a", dry_run=dry_run)
    with pytest.raises(RecipeError, match="a package that is not installed"):
        run_prepared(prepare.prepare(request, print, found), print)
    assert list(tmp_path.iterdir()) == []

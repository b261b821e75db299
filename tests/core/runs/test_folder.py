"""Runs are made whole, never overwritten, opened by name, and found again."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from mmx.checkpoint.content import Content
from mmx.errors import CheckpointError, RecipeError
from mmx.runs.find import find_unfinished
from mmx.runs.folder import create, open_run
from mmx.runs.layout import RunFolder, Status


def make(runs: Path, recipe: str = "recipes/quick.toml", name: str | None = None) -> RunFolder:
    return create(runs, recipe, "extends = 'x'\n", "seed = 1\n", name=name, argv=["mmx", "run", recipe])


def test_a_new_run_has_its_first_files(tmp_path: Path) -> None:
    run = make(tmp_path / "runs")
    assert {path.name for path in run.path.iterdir()} == {
        "recipe.toml",
        "resolved.toml",
        "env.json",
        "status.json",
        "README.md",
    }
    assert run.recipe.read_text() == "extends = 'x'\n" and run.resolved.read_text() == "seed = 1\n"
    assert run.status() == Status("running", 0)
    assert run.environment()["argv"] == ["mmx", "run", "recipes/quick.toml"]


def test_a_run_without_a_name_is_filed_by_recipe_and_time(tmp_path: Path) -> None:
    first, second = make(tmp_path), make(tmp_path)
    assert first.path != second.path and first.path.parent == tmp_path / "quick"
    date, time, unique = first.path.name.split("-")
    assert (len(date), len(time), len(unique)) == (8, 6, 6) and int(unique, 16) >= 0


@pytest.mark.parametrize(
    ("recipe", "folder"),
    [("a/b c.toml", "b-c"), ("../../x.toml", "x"), ("ü.toml", "recipe"), ("..", "recipe"), ("v1.2", "v1.2")],
)
def test_any_recipe_makes_a_folder_inside(tmp_path: Path, recipe: str, folder: str) -> None:
    assert make(tmp_path / "runs", recipe).path.parent == tmp_path / "runs" / folder


def test_a_name_is_taken_as_it_is(tmp_path: Path) -> None:
    assert make(tmp_path, name="first-try").path == tmp_path / "first-try"


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "/x", "-x", ".x", "a b", "a\n", "a\0", "ü", "x" * 101])
def test_a_name_that_is_no_folders_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RecipeError, match="--name"):
        make(tmp_path / "runs", name=name)
    assert not (tmp_path / "runs").exists()


def test_an_existing_run_is_refused_with_the_two_commands_that_help(tmp_path: Path) -> None:
    run = make(tmp_path, name="x")
    before = (run.path / "env.json").read_bytes()
    with pytest.raises(CheckpointError) as caught:
        make(tmp_path, name="x")
    assert f"mmx run --resume {run.path}\n" in str(caught.value) and str(caught.value).endswith("\n  name='x-2'")
    assert (run.path / "env.json").read_bytes() == before and os.listdir(tmp_path) == ["x"]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (["my own.toml", "--name", "x", "--set", "seed=1"], "mmx run 'my own.toml' --name x-3 --set seed=1"),
        (["../a.toml", "--name=x"], "mmx run ../a.toml --name=x-3"),
        (["a.toml", "--set", "a.token=hush", "--name", "x"], "mmx run a.toml --set 'a.token=***' --name x-3"),
    ],
)
def test_the_command_that_starts_another_run_is_the_one_that_was_typed(
    tmp_path: Path, given: list[str], wanted: str
) -> None:
    for name in ("x", "x-2"):
        make(tmp_path, name=name)
    with pytest.raises(CheckpointError) as caught:
        create(tmp_path, "my-own", "", "seed = 1\n", name="x", argv=["mmx", "run", *given])
    assert str(caught.value).endswith(f"start another:\n  mmx run --resume {tmp_path / 'x'}\n  {wanted}")


def test_a_folder_that_is_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_text("")
    (tmp_path / "file").write_text("")
    for name in ("photos", "file"):
        with pytest.raises(CheckpointError, match="is not a run; choose another name"):
            make(tmp_path, name=name)
    assert (tmp_path / "photos" / "a.jpg").exists() and sorted(os.listdir(tmp_path)) == ["file", "photos"]


def test_runs_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(CheckpointError, match=r"cannot make the run's folder .*runs/x"):
        make(tmp_path / "runs", name="x")


def test_a_run_opens(tmp_path: Path) -> None:
    run = make(tmp_path)
    assert open_run(run.path) == run


def test_a_folder_that_is_not_a_run_names_those_nearby(tmp_path: Path) -> None:
    older, newer = make(tmp_path / "runs"), make(tmp_path / "runs", name="named")
    for path, what in ((tmp_path / "runs", "has no resolved.toml"), (tmp_path / "runs" / "tpyo", "does not exist")):
        with pytest.raises(CheckpointError) as caught:
            open_run(path)
        message = str(caught.value)
        assert what in message and "resolved.toml, env.json" in message
        assert message.index(str(newer.path)) < message.index(str(older.path))
        assert caught.value.exit_code == 5
    with pytest.raises(CheckpointError, match=f"nearby:\n  {newer.path}\n"):
        open_run(tmp_path / "named")


def test_a_path_inside_a_run_names_that_run(tmp_path: Path) -> None:
    run = make(tmp_path, name="x")
    make(tmp_path, name="y")
    for inside in ("checkpoints/step-00000001", "resolved.toml"):
        with pytest.raises(CheckpointError) as caught:
            open_run(run.path / inside)
        assert str(caught.value).endswith(f"runs nearby:\n  {run.path}")


def test_a_misspelt_folder_of_runs_names_those_next_to_it(tmp_path: Path) -> None:
    run = make(tmp_path / "runs")
    with pytest.raises(CheckpointError) as caught:
        open_run(tmp_path / "rnus" / "quick" / "2026")
    assert str(caught.value).endswith(f"runs nearby:\n  {run.path}")


def test_no_runs_nearby_is_said(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there are no runs nearby"):
        open_run(tmp_path / "x")


def test_the_newest_unfinished_run_of_the_recipe_is_found(tmp_path: Path) -> None:
    said: list[str] = []
    make(tmp_path)
    wanted = make(tmp_path, name="named")
    make(tmp_path).write_status("finished", 10)
    make(tmp_path, "other.toml")
    wanted.write_status("failed", 5, "the loss is nan")
    assert find_unfinished(tmp_path, "somewhere/quick.toml", said.append) == wanted
    assert said == [f"going on with the run {wanted.path}"]


def test_no_unfinished_run_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    make(tmp_path).write_status("finished", 10)
    assert find_unfinished(tmp_path, "quick", said.append) is None
    assert find_unfinished(tmp_path / "none", "quick", said.append) is None
    assert said[0] == f"no unfinished run of quick in {tmp_path}; starting a new one" and len(said) == 2


def test_a_run_with_a_broken_status_is_passed_over_and_said(tmp_path: Path) -> None:
    said: list[str] = []
    wanted, broken = make(tmp_path), make(tmp_path)
    (broken.path / "status.json").write_text("{")
    assert find_unfinished(tmp_path, "quick", said.append) == wanted
    assert str(broken.path / "status.json") in said[0] and "not JSON" in said[0]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"status": "lost", "step": 1}', '{"status": "running", "step": "many"}']
)
def test_a_status_that_is_none_is_an_error(tmp_path: Path, text: str) -> None:
    run = make(tmp_path)
    (run.path / "status.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"status\.json"):
        run.status()


def test_the_status_is_replaced(tmp_path: Path) -> None:
    run = make(tmp_path)
    run.write_status("stopped", 40, "SIGTERM")
    assert run.status() == Status("stopped", 40, "SIGTERM")
    assert json.loads((run.path / "status.json").read_text()) == {"status": "stopped", "step": 40, "reason": "SIGTERM"}
    assert not list(run.path.glob(".*"))


def test_metrics_and_ledger_are_cut_back_together(tmp_path: Path) -> None:
    run, said = make(tmp_path), list[str]()
    metrics, ledger = run.metrics(), run.ledger()
    for step in range(1, 11):
        ledger.append(step, 0, step, 1, ["k"], [], 0.5)
        if step % 2 == 0:
            metrics.append({"step": step})
    run.rewind(6, said.append)
    assert said == [
        "metrics.jsonl: 2 rows after step 6 cut off; the steps are taken again",
        "ledger.jsonl: 4 rows after step 6 cut off; the steps are taken again",
    ]
    said.clear()
    run.rewind(6, said.append)
    assert said == []


def test_checkpoints_carry_the_recipes_sha256(tmp_path: Path) -> None:
    run = make(tmp_path)
    run.store(2, True).write(1, {"state.json": Content.of(b"{}")})
    loaded = run.store(2, True).latest(pytest.fail)
    assert loaded is not None and loaded.manifest.recipe == hashlib.sha256(b"seed = 1\n").hexdigest()


def test_the_readme_has_the_commands_quoted(tmp_path: Path) -> None:
    run = make(tmp_path / "my runs", name="x")
    text = (run.path / "README.md").read_text()
    assert f"mmx run --resume '{run.path}'" in text and f"mmx eval '{run.path}'" in text and "report.html" in text
    assert "its recipe has no evaluator" in text
    measured = create(tmp_path, "q", "", "[evaluators.a]\nname = 'b'\n", name="z")
    assert "has no evaluator" not in (measured.path / "README.md").read_text()

"""Evaluating a model that is no run: what is measured comes from --set and --recipe."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from mmx.errors import CheckpointError, RecipeError
from mmx.evaluate.alone import evaluate_model
from mmx.evaluate.results import read_results
from mmx.evaluate.tables import evaluation
from mmx.models.find import find_model
from mmx_toy.formats import TABLES, flat, with_formats
from mmx_toy.start import MATCH, RECIPE, start

TOY = ("evaluators.match.name='toy'",)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained")
    assert start(out, "train.steps=4", *MATCH).exit_code == 0
    return out / "run"


@pytest.fixture
def foreign(trained: Path, tmp_path: Path) -> Path:
    return flat(tmp_path / "foreign", load_file(trained / "model" / "model.safetensors"))


def evaluate(
    model: Path, sets: Sequence[str] = (), recipe: Path | None = None, out: Path | None = None
) -> tuple[dict[str, Any], list[str]]:
    plugins, said = with_formats(), list[str]()
    found = find_model(model, plugins.registries)
    asked = evaluation(str(model), recipe, sets, (), plugins.registries)
    result = evaluate_model(found, asked, plugins, said.append, out)
    assert result.exit_code == 0
    return result.summary, said


def with_evaluator(folder: Path) -> Path:
    path = folder / "measured.toml"
    path.write_text(f'extends = "{RECIPE}"\n[evaluators.match]\nname = "toy"\n')
    return path


def test_any_model_is_measured_as_the_run_it_came_from(trained: Path, foreign: Path, tmp_path: Path) -> None:
    expected = read_results(trained / "evaluations" / "step-00000004")["match"].numbers["similarity"].value
    for model, sets, recipe in (
        (trained / "model", TOY, None),
        (foreign, TOY, None),
        (foreign, (), with_evaluator(tmp_path)),
    ):
        summary, said = evaluate(model, sets, recipe)
        assert summary["evaluations"]["match"]["similarity"]["value"] == expected
        assert any("similarity" in text for text in said) and any("--out FOLDER keeps" in text for text in said)
    assert summary["format"] == "flat" and len(summary["files"]["flat.safetensors"]) == 64
    assert summary["model"] == str(foreign)


def test_results_go_to_a_folder_that_is_named_and_never_over_others(foreign: Path, tmp_path: Path) -> None:
    out = tmp_path / "results"
    summary, _ = evaluate(foreign, TOY, out=out)
    assert json.loads((out / "evaluation.json").read_text()) == summary
    assert read_results(out / "results")["match"].headline == "similarity"
    with pytest.raises(CheckpointError, match="never overwritten"):
        evaluate(foreign, TOY, out=out)


def test_the_recipe_says_what_the_folder_does_not(trained: Path, tmp_path: Path) -> None:
    tensors = load_file(trained / "model" / "model.safetensors")
    silent = flat(tmp_path / "silent", tensors, {**TABLES, "preprocess": {"size": 6}})
    with pytest.raises(CheckpointError, match=r"preprocess\.resize: flat\.json does not say"):
        evaluate(silent, TOY)
    told = evaluate(silent, recipe=with_evaluator(tmp_path))[0]
    set_, _ = evaluate(silent, (*TOY, "preprocess.resize='squash'"))
    assert told["evaluations"] == set_["evaluations"]


def test_without_an_evaluator_it_is_said_how_to_give_one(foreign: Path) -> None:
    with pytest.raises(RecipeError, match=r"has no evaluators of its own; give some \(known: toy\)") as caught:
        evaluate(foreign)
    assert f"mmx eval {foreign} --recipe RECIPE" in str(caught.value)
    with pytest.raises(RecipeError, match="has no evaluator; give some"):
        evaluate(foreign, recipe=RECIPE)


@pytest.mark.parametrize(
    ("set_", "expected"),
    [
        ("train.steps=3", "--set train.steps=3: .* is no run; what can be set are"),
        ("evaluators.match.odd=1", "evaluators.match.odd: unknown key"),
        ("evaluators.match.every=-1", "evaluators.match.every"),
        ("evaluators.other.name='tyo'", "no evaluator 'tyo'; did you mean 'toy'"),
    ],
)
def test_what_cannot_be_set_is_refused(set_: str, expected: str, foreign: Path) -> None:
    with pytest.raises(RecipeError, match=expected):
        evaluate(foreign, (*TOY, set_))


def test_a_model_is_left_as_it_was(foreign: Path, tmp_path: Path) -> None:
    before = shutil.copytree(foreign, tmp_path / "before")
    evaluate(foreign, TOY, out=tmp_path / "out")
    names = sorted(path.name for path in before.iterdir())
    assert sorted(path.name for path in foreign.iterdir()) == names
    assert all((before / name).read_bytes() == (foreign / name).read_bytes() for name in names)

"""``mmx recipe``."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import throwaway
from mmx.recipe.bundled import bundled

Mmx = Callable[..., Any]


def test_check(mmx: Mmx, recipe: Path) -> None:
    done = mmx("recipe", "check", "r.toml")
    assert (done.code, done.out, done.err) == (0, "r.toml: the recipe holds\nlosses: main (contrast, weight 1)\n", "")


def test_check_names_every_problem(mmx: Mmx, recipe: Path) -> None:
    done = mmx("recipe", "check", "r.toml", "--set", "optim.lrr=1", "--set", "seed=-1", "--unset", "train")
    assert done.code == 2 and done.out == ""
    assert done.err == (
        "error: r.toml: 3 problems\n"
        "r.toml: train: is missing: how long and how training runs\n"
        "--set seed: should be at least 0, not -1\n"
        "--set optim.lrr: unknown key; did you mean 'lr'?\n"
        "help: mmx recipe schema train optimizer.adamw\n"
    )


def test_check_for_programs(mmx: Mmx, recipe: Path) -> None:
    assert json.loads(mmx("recipe", "check", "r.toml", "--json").out)["ok"] is True
    done = mmx("recipe", "check", "r.toml", "--json", "--set", "seed=-1")
    found = json.loads(done.out)
    assert (done.code, found["ok"], done.err) == (2, False, "")
    assert found["problems"][0]["key"] == "seed"
    recipe.write_text("a b")
    done = mmx("recipe", "check", "r.toml", "--json")
    assert done.code == 2 and "r.toml:1:3: not valid TOML" in json.loads(done.out)["message"]


def test_the_help_of_an_error_is_a_command_that_works(mmx: Mmx, recipe: Path) -> None:
    sets = ["seed=-1", "optim.lrr=1", "image_encoder.x=1", "text_encoder.name=x", "data.train.limit=x", "extra.a=1"]
    for one in sets:
        done = mmx("recipe", "check", "r.toml", "--set", one)
        command = done.err.splitlines()[-1].removeprefix("help: mmx ")
        assert done.code == 2 and command != done.err.splitlines()[-1]
        assert mmx(*command.split()).code == 0, command


def test_show(mmx: Mmx, recipe: Path) -> None:
    done = mmx("recipe", "show", "r.toml", "--set", "optim.lr=5e-4")
    assert "lr = 0.0005  # --set\n" in done.out and "width = 32  # r.toml:6\n" in done.out
    Path("back.toml").write_text(done.out)
    assert mmx("recipe", "check", "back.toml").code == 0


def test_show_for_programs(mmx: Mmx, recipe: Path) -> None:
    found = json.loads(mmx("recipe", "show", "r.toml", "--json").out)
    assert found["recipe"]["data"]["batch"] == 8
    assert found["sources"]["data.batch"] == "r.toml:24"


def test_schema(mmx: Mmx) -> None:
    assert "Highest learning rate." in mmx("recipe", "schema", "optim").out
    assert mmx("recipe", "schema", "optim", "train").out.count("\n[") + 1 == 2
    assert mmx("recipe", "schema").out.startswith("extends: ")
    assert "$schema" in json.loads(mmx("recipe", "schema", "--json").out)
    done = mmx("recipe", "schema", "optm")
    assert (done.code, done.err.splitlines()[0]) == (2, "error: a recipe has no table 'optm'; did you mean 'optim'?")


def test_list(mmx: Mmx) -> None:
    assert "quickstart: " in mmx("recipe", "list").out
    rows = json.loads(mmx("recipe", "list", "--json").out)["recipes"]
    assert [row["name"] for row in rows] == list(bundled())


@pytest.mark.parametrize("name", list(bundled()))
def test_copy(mmx: Mmx, name: str) -> None:
    assert mmx("recipe", "copy", name).out == f"wrote {name}.toml; next: mmx recipe check {name}.toml\n"
    copied = tomllib.loads(Path(f"{name}.toml").read_text())
    assert (
        copied["extends"] in bundled() if "extends" in copied else copied == tomllib.loads(bundled()[name].read_text())
    )


def test_copy_overwrites_nothing(mmx: Mmx, recipe: Path) -> None:
    done = mmx("recipe", "copy", "quickstart", "r.toml")
    assert done.code == 2 and "r.toml exists; it is not overwritten" in done.err
    assert recipe.read_text() == throwaway.RECIPE


def test_copy_into_a_folder(mmx: Mmx) -> None:
    Path("mine").mkdir()
    assert mmx("recipe", "copy", "quickstart", "mine").code == 0
    assert Path("mine/quickstart.toml").is_file()
    done = mmx("recipe", "copy", "quickstart", "none/r.toml")
    assert (done.code, done.err) == (2, "error: none/r.toml cannot be written: No such file or directory\n")


def test_copy_of_what_does_not_exist(mmx: Mmx) -> None:
    assert mmx("recipe", "copy", "quickstrat").err.startswith(
        "error: quickstrat: there is no such recipe; did you mean 'quickstart'?"
    )


def test_new(mmx: Mmx) -> None:
    done = mmx("recipe", "new", "n.toml", "--image-encoder", "vit", "--evaluator", "zero")
    assert done.out == "wrote n.toml; fill in the 1 line marked NEEDED; next: mmx recipe check n.toml\n"
    values = tomllib.loads(Path("n.toml").read_text())
    assert values["image_encoder"]["name"] == "vit" and "zero" in values["evaluators"]
    assert mmx("recipe", "new", "n.toml").code == 2


def test_new_of_a_part_that_does_not_exist(mmx: Mmx) -> None:
    done = mmx("recipe", "new", "n.toml", "--loss", "contrst")
    assert done.code == 3 and "no loss 'contrst'; did you mean 'contrast'?" in done.err
    assert not Path("n.toml").exists()

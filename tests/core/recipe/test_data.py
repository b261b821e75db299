"""Recipes without data: the lines that give it."""

import shlex
import tomllib
from pathlib import Path
from typing import ClassVar

import pytest

from mmx.config import DatasetConfig
from mmx.plugin.registry import Registries
from mmx.recipe import load
from mmx.recipe.bundled import bundled
from mmx.recipe.data import Asked, absent, how_to_give
from mmx.recipe.load import examine, read
from mmx.recipe.schema import Recipe
from throwaway import Load, Write

WITHOUT = (('[data.train]\nname = "folder"\npath = "pictures"\n', ""), ("batch = 8", "batch = 64\nworkers = 3"))


class Shipped(DatasetConfig):
    embedded: ClassVar[bool] = True


class Gone(DatasetConfig):
    def absent(self) -> str:
        return "the picture is not there"


@pytest.fixture
def shipped(registries: Registries) -> Registries:
    register = registries.owned_by("shop 1.0 (shop)")
    register("dataset", "shipped", config=Shipped, part="shop:Shipped", summary="ten pictures")
    register("dataset", "gone", config=Gone, part="shop:Gone", summary="a picture")
    return registries


def command(asked: Asked, registries: Registries) -> list[str]:
    """Return the command that the lines for a recipe end with, as a shell would read it."""
    recipe = load(asked.recipe, asked.overrides, asked.unset, registries)
    text = how_to_give(asked, recipe, registries)
    assert all(len(line) <= 80 for line in text.splitlines())
    return shlex.split(text[text.index("mmx run") :].replace("\\\n", " "))


def run_again(words: list[str], registries: Registries) -> Recipe:
    sets = [words[index + 1] for index, word in enumerate(words) if word == "--set"]
    unset = [words[index + 1] for index, word in enumerate(words) if word == "--unset"]
    assert words[:2] == ["mmx", "run"]
    return load(words[2], sets, unset, registries)


def test_a_recipe_may_leave_its_data_to_the_user(write: Write, read: Load) -> None:
    recipe = read(write("r.toml", *WITHOUT))
    assert recipe.data.train is None and "train" not in recipe.resolved()["data"]
    assert absent(recipe) == "data.train: is not given: this recipe leaves the data to you"
    assert absent(read(write("s.toml"))) == ""


def test_a_dataset_says_what_is_absent(write: Write, shipped: Registries) -> None:
    recipe = load(write("r.toml", *WITHOUT), ["data.train.name=gone"], (), shipped)
    assert absent(recipe) == "data.train: the picture is not there"


def test_the_lines_for_ones_own_data_are_those_that_a_dataset_needs(write: Write, shipped: Registries) -> None:
    path = write("r.toml", *WITHOUT)
    text = how_to_give(Asked(path), load(path, (), (), shipped), shipped)
    assert text.startswith("For your own data, add these lines to r.toml:\n\n")
    block = text.split("\n\n")[1]
    assert tomllib.loads(block) == {"data": {"train": {"name": "folder"}}} and "# path = ...  # text" in block
    assert "ten pictures" in text and 'name = "shipped"' not in text


def test_a_recipe_of_mmx_is_extended(registries: Registries) -> None:
    recipe = examine(read("clip_b32"), _installed())
    assert isinstance(recipe, Recipe)
    for name in (Path("clip_b32"), bundled()["clip_b32"]):
        assert 'extends = "clip_b32"' in how_to_give(Asked(name), recipe, _installed())


def test_the_command_takes_two_steps_of_four_samples(write: Write, shipped: Registries) -> None:
    path = write("r.toml", *WITHOUT, ("[train]\nsteps = 10", "[optim.schedule]\nwarmup = 9\n[train]\nepochs = 3.0"))
    words = command(Asked(path), shipped)
    recipe = run_again(words, shipped)
    assert recipe.data.train == Shipped(name="shipped") and recipe.data.batch == 4 and recipe.data.workers == 0
    assert recipe.optim.schedule is not None
    assert (recipe.train.steps, recipe.train.epochs, recipe.optim.schedule.warmup) == (2, None, 0)
    assert "train.micro_batches=1" not in words


def test_the_command_keeps_what_was_set(write: Write, shipped: Registries) -> None:
    sets = (
        "data.batch=9",
        "train.epochs=1.0",
        "train.micro_batches=3",
        "data.train={ name = 'gone' }",
        "optim.lr=5e-4",
    )
    path = write("my recipe.toml", *WITHOUT)
    recipe = run_again(command(Asked(path, sets, ("seed",)), shipped), shipped)
    assert (recipe.data.batch, recipe.train.micro_batches, recipe.optim.lr, recipe.seed) == (9, 3, 5e-4, 0)
    assert (recipe.train.steps, recipe.train.epochs) == (None, 1.0)
    assert recipe.data.train == Shipped(name="shipped")


def test_pieces_that_do_not_divide_the_small_batch_become_one(write: Write, shipped: Registries) -> None:
    path = write("r.toml", *WITHOUT, ("steps = 10", "steps = 10\nmicro_batches = 32"))
    assert run_again(command(Asked(path), shipped), shipped).train.micro_batches == 1


def _installed() -> Registries:
    from mmx.plugin.manager import Plugins

    return Plugins().registries

"""The tables of the optimizer and its schedule: names that may be left out, keys that moved, what does not fit."""

import pytest

from mmx.errors import RecipeError
from mmx.plugin.registry import Registries
from mmx.recipe.manual import page
from mmx.recipe.write import to_toml
from throwaway import Adam, Cosine, Load, Write


def test_optimizer_and_schedule_are_named_where_the_recipe_does_not(write: Write, read: Load) -> None:
    recipe = read(write(), "optim.schedule.warmup=3")
    assert isinstance(recipe.optim, Adam) and recipe.optim.name == "adamw"
    assert recipe.optim.schedule == Cosine(name="cosine", warmup=3)
    assert read(write("again.toml", text=to_toml(recipe))) == recipe


def test_a_group_is_a_table_and_keeps_its_place(write: Write, read: Load) -> None:
    path = write(
        "r.toml", ("[train]", '[optim.groups.b]\nmatch = "b.*"\nlr = 1e-4\n[optim.groups.a]\nmatch = "*"\n[train]')
    )
    assert list(read(path).optim.groups) == ["b", "a"]
    assert list(read(write("again.toml", text=to_toml(read(path)))).optim.groups) == ["b", "a"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("optim.schedule=cosine", r'optim.schedule: should be a table with .* name, such as { name = "cosine" }'),
        (
            "optim.warmup=3",
            r"optim.warmup: unknown key .* an option of \[optim.schedule\]: .* --set optim.schedule.warmup=",
        ),
        ("optim.min_lr=0", r"optim.min_lr: unknown key .* write it there, or --set optim.schedule.min_lr=\.\.\."),
        ("optim.lr=0", "optim.lr: should be more than 0|optim.lr: should be greater than 0"),
        ("optim.name=adm", "optim.name: no optimizer 'adm'; did you mean 'adamw'"),
        ("optim.schedule.name=cosin", "optim.schedule.name: no schedule 'cosin'; did you mean 'cosine'"),
        ("optim.schedule.warmup=11", "optim.schedule.warmup: should be at most the run's 10 steps, not 11"),
        ("optim.schedule.warmup_lr=1", "optim.schedule.warmup_lr: should be at most optim.lr = 0.001, not 1"),
        ("optim.groups.x.mach='a'", "optim.groups.x.mach: unknown key; did you mean 'match'"),
        ("optim.groups.x.layer_decay=1.5", "optim.groups.x.layer_decay: should be at most 1, not 1.5"),
    ],
)
def test_mistakes_say_what_to_write(write: Write, read: Load, change: str, expected: str) -> None:
    with pytest.raises(RecipeError, match=expected):
        read(write(), change)


def test_an_engine_that_cuts_tensors_refuses_an_optimizer_that_needs_whole_ones(write: Write, read: Load) -> None:
    cut = ("parallel.engine=remote", "parallel.hosts=2")
    read(write(), *cut)
    with pytest.raises(
        RecipeError, match=r"parallel\.hosts: divides tensors, and the optimizer 'whole' takes each step from"
    ):
        read(write(), *cut, "optim.name=whole")
    read(write(), "optim.name=whole")


def test_the_names_of_optimizer_and_schedule_may_be_given_in_any_order(write: Write, read: Load) -> None:
    path = write("r.toml", ("[train]", '[optim]\nname = "adamw"\nlr = 0.1\n[train]'))
    sets = ("optim.schedule.name=other", "optim.schedule.warmup=2", "optim.name=whole")
    for given in (sets, sets[::-1]):
        optim = read(path, *given).optim
        assert optim.name == "whole" and optim.lr == 1e-3  # another optimizer's table is not this one's
        assert optim.schedule is not None and (optim.schedule.name, optim.schedule.warmup) == ("other", 2)


def test_their_pages(registries: Registries) -> None:
    assert "adamw: the optimizer adamw" in page("optim", registries)
    assert "cosine: the schedule cosine" in page("optim.schedule", registries)
    assert "[optim.groups.NAME]" in page("optim.groups", registries)
    assert "min_lr" in page("optim.schedule.cosine", registries)

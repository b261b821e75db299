"""Which layouts there are."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from typing_extensions import override

from mmx.config import EngineConfig, Layout
from mmx.errors import MissingPackageError, PluginError, RecipeError
from mmx.plugin.registry import Registries
from mmx.recipe import Recipe
from mmx_verify.plan import alone, chosen, refuse_missing, trials


class Local(EngineConfig):
    device: str = "auto"
    """Where."""
    precision: str = "auto"
    """How exact."""


class Many(Local):
    count: int = 1
    """How many."""

    @override
    @classmethod
    def layouts(cls) -> Mapping[str, Layout]:
        return {
            "half": Layout({"count": 2, "precision": "bf16"}, 2),
            "two": Layout({"count": 2}, 2),
            "four": Layout({"count": 4}, 4, 8),
        }

    @override
    def missing(self) -> str:
        return "many is not installed:\n  pip install many" if self.count > 2 else ""


class Other(Local):
    @override
    @classmethod
    def layouts(cls) -> Mapping[str, Layout]:
        return {"other": Layout({}, 2)}


class Wrong(Local):
    @override
    @classmethod
    def layouts(cls) -> Mapping[str, Layout]:
        return {"two": Layout({"tenser": 2}, 2)}


def engines(**configs: type[EngineConfig]) -> Registries:
    made = Registries()
    register = made.owned_by("a test")
    for name, config in {"local": Local, **configs}.items():
        register("engine", name, config=config, part="nowhere:Nothing", summary="an engine")
    return made


def recipe(engine: str = "local") -> Recipe:
    return Recipe.model_construct(parallel=EngineConfig(name=engine))


def names(engine: str, registries: Registries) -> list[str]:
    return [trial.name for trial in trials(recipe(engine), registries)]


def test_layouts_are_of_the_engine_of_the_recipe_or_else_of_the_first_that_has_some() -> None:
    known = engines(zeta=Many, other=Other)
    assert names("zeta", known) == ["accumulate4", "two", "four", "half"]  # fp32 first
    assert names("local", known) == names("other", known) == ["accumulate4", "other"]
    assert names("local", engines()) == ["accumulate4"]


def test_a_layout_has_the_options_of_its_engine() -> None:
    found = {trial.name: trial for trial in trials(recipe(), engines(many=Many))}
    four, half, one = found["four"], found["half"], found["accumulate4"]
    assert four.engine == Many(name="many", count=4) and (four.processes, four.micro_batches) == (4, 8)
    assert (four.precision, half.precision) == ("fp32", "bf16")
    assert one.engine == Local(name="local", device="cpu", precision="fp32")
    assert (one.processes, one.micro_batches) == (1, 4)
    assert alone(engines(), "bf16") == Local(name="local", device="cpu", precision="bf16")


def test_some_may_be_chosen_and_unknown_ones_are_refused_with_what_was_meant() -> None:
    known = trials(recipe(), engines(many=Many))
    assert [trial.name for trial in chosen(known, ["half", "two"])] == ["two", "half"]
    assert chosen(known, []) == known
    with pytest.raises(RecipeError, match=r"no layout 'fuor'; did you mean 'four'\? \(known: accumulate4, two, "):
        chosen(known, ["two", "fuor"])


def test_an_engine_that_is_not_installed_is_an_error_only_where_it_is_asked_for() -> None:
    known = trials(recipe(), engines(many=Many))
    refuse_missing(chosen(known, ["two", "accumulate4"]))
    with pytest.raises(
        MissingPackageError, match=r"four is of the engine 'many': many is not(.|\n)*pip install many\n"
    ):
        refuse_missing(known)


def test_a_layout_whose_options_do_not_hold_is_the_fault_of_its_plugin() -> None:
    with pytest.raises(PluginError, match=r"engine 'wrong'.*its layout 'two' does not hold: tenser: "):
        trials(recipe(), engines(wrong=Wrong))


def test_accumulation_is_always_that_of_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Other, "layouts", classmethod(lambda cls: {"accumulate4": Layout({}, 8)}))
    (found,) = trials(recipe("other"), engines(other=Other))
    assert found == replace(found, processes=1) and found.engine.name == "local"

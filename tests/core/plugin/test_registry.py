"""Registries: who may register what, and what is said of a name that cannot be used."""

import pytest

import throwaway
from mmx.config import EncoderConfig, LossConfig, PartConfig
from mmx.errors import PluginError
from mmx.plugin.kinds import Entry
from mmx.plugin.registry import Registries


def entry(part: str, kind: str = "loss") -> Entry:
    return Entry(kind, "x", "", LossConfig, part, "toy 1.0 (toy)")


def test_parts_are_listed_by_name(registries: Registries) -> None:
    assert [part.name for part in registries["image_encoder"]] == ["conv", "vit"]
    assert registries["image_encoder"]["vit"].config is throwaway.Vit
    assert "vit" in registries["image_encoder"] and "vit" not in registries["text_encoder"]
    assert len(list(registries)) == 18


@pytest.mark.parametrize(
    ("kind", "name", "config", "part", "expected"),
    [
        ("los", "x", LossConfig, "a:B", "registers 'x' as a los; kinds are image_encoder"),
        ("loss", "a b", LossConfig, "a:B", "a name is letters, digits"),
        ("loss", "", LossConfig, "a:B", "a name is letters, digits"),
        ("loss", "x", EncoderConfig, "a:B", "does not derive from mmx.config.LossConfig"),
        ("image_encoder", "x", PartConfig, "a:B", "does not derive from mmx.config.EncoderConfig"),
        ("dataset", "x", dict, "a:B", "does not derive from mmx.config.DatasetConfig"),
        ("dataset", "x", "a:B", "a:B", "does not derive from mmx.config.DatasetConfig"),
        ("loss", "x", LossConfig, "a.B", "the part is given as 'module:Class', not 'a.B'"),
    ],
)
def test_what_cannot_be_registered(kind: str, name: str, config: type[PartConfig], part: str, expected: str) -> None:
    with pytest.raises(PluginError) as caught:
        Registries().owned_by("toy")(kind, name, config=config, part=part, summary="")
    assert expected in str(caught.value)


def test_twice_by_one_owner(registries: Registries) -> None:
    register = registries.owned_by("toy")
    register("loss", "x", config=LossConfig, part="a:B", summary="")
    with pytest.raises(PluginError, match="toy registers the loss 'x' twice"):
        register("loss", "x", config=LossConfig, part="a:C", summary="")


@pytest.mark.parametrize("order", [("one", "two", "three"), ("three", "one", "two")])
def test_a_name_of_two_owners_belongs_to_none(order: tuple[str, ...]) -> None:
    registries = Registries()
    for owner in order:
        registries.owned_by(owner)("loss", "x", config=LossConfig, part="a:B", summary="")
    registries.drop("three")
    with pytest.raises(
        PluginError, match="two plugins register the loss 'x': one and two; uninstall or leave out one of them"
    ):
        registries["loss"]["x"]
    assert "x" not in registries["loss"] and list(registries["loss"]) == []
    assert registries["loss"].clashes() == [
        "two plugins register the loss 'x': one and two; uninstall or leave out one of them"
    ]
    registries.drop("two")
    assert registries["loss"]["x"].owner == "one"


def test_an_unknown_name(registries: Registries) -> None:
    with pytest.raises(PluginError, match=r"^no image_encoder 'vti'; did you mean 'vit'\? \(known: conv, vit\)$"):
        registries["image_encoder"]["vti"]
    with pytest.raises(
        PluginError,
        match=r"^no loss 'x' \(known: none\); is its plugin installed",
    ):
        Registries()["loss"]["x"]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("no_such_module:Loss", "cannot import no_such_module:Loss: ModuleNotFoundError"),
        ("throwaway:Nobody", "cannot import throwaway:Nobody: AttributeError"),
        ("throwaway:Vit", "loss 'x' of toy 1.0 (toy): throwaway:Vit is not a subclass of mmx.parts.loss:Loss"),
        ("throwaway:RECIPE", "throwaway:RECIPE is not a subclass of mmx.parts.loss:Loss"),
    ],
)
def test_parts_that_do_not_load(part: str, expected: str) -> None:
    with pytest.raises(PluginError) as caught:
        entry(part).load()
    assert expected in str(caught.value)


def test_a_part_that_loads() -> None:
    assert entry("mmx.parts.loss:BatchLoss").load().__name__ == "BatchLoss"

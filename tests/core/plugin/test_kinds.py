"""The table of kinds fits the recipe and the code; a plugin adds a kind of its own, and parts of others hold parts of it."""

import copy
import pickle
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from distributions import install
from mmx.config import LossConfig, PartConfig
from mmx.errors import PluginError, RecipeError
from mmx.plugin.kinds import KINDS, Kind, locate
from mmx.plugin.manager import Plugins
from mmx.plugin.registry import Registries
from mmx.recipe.manual import page, part_page
from mmx.recipe.schema import Recipe
from mmx.recipe.shape import slot_at
from mmx_kit import checks_of
from mmx_kit.subject import plugin

KIND = '''
from abc import ABC, abstractmethod

import mmx
from mmx.plugin.kinds import Kind


class Index(ABC):
    """Finds what is near."""

    @abstractmethod
    def nearest(self, place):
        """Return the nearest known place."""


@mmx.hookimpl
def mmx_register(register):
    register.kind(Kind("index", "{module}:Index", "finds what is near", needs=("places",)))
'''
PART = '''
import mmx
from mmx.config import PartConfig


class FlatConfig(PartConfig):
    """Options of the index ``flat``."""

    step: int = 1
    """Distance of places."""


@mmx.hookimpl
def mmx_register(register):
    register("index", "flat", config=FlatConfig, part="toy_flat_part:Flat", summary="looks at every place")
'''
FLAT = """
from toy_index import Index


class Flat(Index):
    def __init__(self, config, places):
        if config.step < 1:
            raise ValueError("step is less than 1")
        self.places = places[:: config.step]

    def nearest(self, place):
        return min(self.places, key=lambda one: abs(one - place))
"""
USER = '''
from typing import Annotated

import mmx
from mmx.config import LossConfig, PartConfig, Slot


class NearConfig(LossConfig):
    """Options of the loss ``near``."""

    index: Annotated[PartConfig, Slot("index")]
    """How near ones are found."""


class Near:
    """Reads its index."""


@mmx.hookimpl
def mmx_register(register):
    register("loss", "near", config=NearConfig, part="{module}:Near", summary="near ones")
'''


def _points(line: str) -> str:
    return f"[mmx.plugins.v1]\n{line}\n"


@pytest.fixture
def shelf(site: Path) -> Path:
    """One distribution brings the kind ``index``, another has a part of it, and a third a loss that holds one."""
    install(site, "toy-index", code=KIND, entry_points=_points("kind.index = toy_index"))
    install(site, "toy-flat", code=PART, entry_points=_points("index.flat = toy_flat"))
    install(site, "toy-near", code=USER, entry_points=_points("loss.near = toy_near"))
    (site / "toy_flat_part.py").write_text(FLAT)
    return site


def near(registries: Registries, **index: Any) -> LossConfig:
    """Read the options of the loss, as a recipe would."""
    config = registries["loss"]["near"].config
    return config.model_validate({"name": "near", "index": index}, context=registries)  # pyright: ignore


NESTED = ("schedule", "filter", "weights")
"""Kinds whose table is one of another part's options, or says where the part is found."""


@pytest.mark.parametrize(
    "kind",
    [kind for kind in KINDS.values() if kind.table and kind.name not in NESTED],
    ids=lambda kind: kind.name,
)
def test_a_kind_stands_where_the_table_says(kind: Kind) -> None:
    path = (*kind.table.split("."), *(("x",) if kind.many else ()))
    slot = slot_at(path, {}, Registries())
    assert slot is not None and (slot.kind, slot.key) == (kind.name, kind.key)
    assert kind.needed or not Recipe.model_fields[kind.table].is_required()


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_what_the_table_names_is_there(kind: Kind) -> None:
    assert isinstance(locate(kind.contract, kind.name), type) and issubclass(kind.options(), PartConfig)
    assert kind.about and kind.name not in ("", kind.about)


def test_a_part_of_a_kind_that_a_plugin_brings_is_chosen_and_built_through_a_slot(shelf: Path) -> None:
    plugins = Plugins()
    registries = plugins.registries
    assert registries["index"].names() == ["flat"] and "toy_index" not in sys.modules
    config: Any = near(registries, name="flat", step=2)
    assert "toy_flat_part" not in sys.modules
    assert config.index.build([1, 4, 7, 9]).nearest(5) == 7
    assert config.model_dump(exclude_none=True)["index"] == {"name": "flat", "step": 2}
    assert [kind.name for kind in (registries.row("index"), registries["index"]["flat"].row)] == ["index", "index"]


def test_options_that_were_read_are_values_like_others(shelf: Path) -> None:
    config: Any = near(Plugins().registries, name="flat")
    own = type(config.index)(name="flat")
    assert (
        config.index == own and hash(config.index) == hash(own) and config.index != own.model_copy(update={"step": 3})
    )
    for again in (copy.deepcopy(config), pickle.loads(pickle.dumps(config)), config.model_copy()):
        assert again == config and again.index.build([3]).nearest(9) == 3
    with pytest.raises(PluginError, match=r"which part has the options FlatConfig.* is not known"):
        own.build([1])


def test_wrong_values_and_names_in_such_a_slot_are_told_like_others(shelf: Path) -> None:
    registries = Plugins().registries
    with pytest.raises(ValidationError, match="no index 'flatt'; did you mean 'flat'"):
        near(registries, name="flatt")
    with pytest.raises(ValidationError, match="Extra inputs"):
        near(registries, name="flat", stepp=1)
    config: Any = near(registries, name="flat", step=0)
    with pytest.raises(RecipeError, match="index 'flat': step is less than 1"):
        config.index.build([1])
    with pytest.raises(PluginError, match=r"index 'flat' of toy-flat 1.0 \(toy_flat\) cannot be built: TypeError"):
        config.index.build()


def test_listings_know_such_a_kind_and_its_parts(shelf: Path) -> None:
    plugins = Plugins()
    assert page("index", plugins.registries).startswith(
        "an index: finds what is near; its key name says which:\n  flat:"
    )
    shown = part_page(plugins.registries["index"]["flat"])
    assert "index flat\nlooks at every place" in shown and "step: whole number; default 1" in shown and "[" not in shown
    assert "finds what is near" in part_page(plugins.registries["kind"]["index"])


def test_a_slot_of_a_kind_that_nobody_brings_says_so(site: Path) -> None:
    install(site, "toy-near", code=USER, entry_points=_points("loss.near = toy_near"))
    with pytest.raises(ValidationError, match="no installed plugin brings the kind of part 'index'"):
        near(Plugins().registries, name="flat")


def test_parts_of_a_kind_that_nobody_brings_are_refused_by_their_metadata(site: Path) -> None:
    install(site, "toy-flat", code=PART, entry_points=_points("index.flat = toy_flat"))
    (entry,) = [entry for entry in Plugins().entries if entry.module == "toy_flat"]
    assert entry.status == "broken" and "lists index.flat, but there is no such kind of part" in entry.reason


def test_two_plugins_that_bring_one_kind_are_both_named(shelf: Path) -> None:
    install(shelf, "toy-other", code=KIND, entry_points=_points("kind.index = toy_other"))
    plugins = Plugins()
    assert plugins.registries["kind"].clashes()[0].startswith("two plugins register the kind 'index': toy-index 1.0")
    plugins.load_all()
    (entry,) = [entry for entry in plugins.entries if entry.module == "toy_flat"]
    assert "registers 'flat' as a index: two plugins register the kind 'index'" in entry.reason


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (Kind("loss", "a:B", "x"), "which mmx has itself"),
        (Kind("my.kind", "a:B", "x"), "small letters"),
        (Kind("mine", "a.B", "x"), "contract is given as 'module:Class', not 'a.B'"),
        (Kind("mine", "a:B", "x", config=""), "config is given as 'module:Class'"),
        (Kind("mine", "a:B", "x", table="mine"), "only the core's kinds have tables"),
    ],
)
def test_kinds_that_are_refused(row: Kind, expected: str) -> None:
    with pytest.raises(PluginError, match=expected):
        Registries().owned_by("toy").kind(row)


@pytest.mark.parametrize(
    ("old", "new", "caught"),
    [
        ("", "", []),
        ("    @abstractmethod\n", "", ["kind"]),
        ('needs=("places",)', 'checks="toy_index:NONE"', ["kind"]),
        ("finds what is near", "", ["about"]),
    ],
)
def test_the_kit_checks_a_kind(site: Path, old: str, new: str, caught: list[str]) -> None:
    install(site, "toy-index", code=KIND.replace(old, new), entry_points=_points("kind.index = toy_index"))
    found = [check.find() for check in checks_of("toy-index")]
    assert [one.check for one in found if one.status == "broken"] == caught and len(found) == 2
    plugin.cache_clear()


def test_the_kit_checks_a_part_of_such_a_kind_as_all_parts_and_as_its_kind_says(shelf: Path) -> None:
    own = "from mmx_kit.check import Check\nOWN = (Check('places', 'it has places', ('index',), lambda case: None),)\n"
    (shelf / "toy_checks.py").write_text(own)
    kind = KIND.replace("{module}", "toy_index").replace('needs=("places",)', 'checks="toy_checks:OWN"')
    (shelf / "toy_index.py").write_text(kind)
    (shelf / "toy_flat_part.py").write_text(FLAT.replace("config, places", "config, places=(1, 2, 3)"))
    found = {check.check.name: check.find() for check in checks_of("toy-flat") if check.check.name != "global state"}
    assert {name for name, one in found.items() if one.status == "broken"} == set()
    assert found["places"].status == found["options read"].status == found["contract"].status == "holds"
    assert "accumulation" not in found
    plugin.cache_clear()


@pytest.mark.parametrize(("kind", "how"), [("kind", "register.kind"), ("command", "metadata alone")])
def test_what_is_not_registered_as_a_part(kind: str, how: str) -> None:
    with pytest.raises(PluginError, match=how):
        Registries().owned_by("toy")(kind, "x", config=PartConfig, part="a:B", summary="x")


@pytest.mark.parametrize("first", [True, False])
def test_a_package_brings_a_kind_before_its_parts(site: Path, first: bool) -> None:
    part = '    register("index", "one", config=PartConfig, part="toy_index:Index", summary="x")\n'
    kind = '    register.kind(Kind("index", "toy_index:Index", "finds what is near"))\n'
    head = "from mmx.config import PartConfig\n" + KIND.partition("    register.kind")[0]
    code = head + (kind + part if first else part + kind)
    install(site, "toy-index", code=code, entry_points=_points("kind.index = toy_index\nindex.one = toy_index"))
    (entry,) = [entry for entry in Plugins().entries if entry.module == "toy_index"]
    why = Plugins().summon(entry.owner)
    assert why == "" if first else "call register.kind before its parts are registered" in why


def test_one_file_may_bring_a_kind_with_its_parts(tmp_path: Path) -> None:
    register = 'register("index", "one", config=PartConfig, part="toy_file:Index", summary="x")'
    text = KIND.replace("{module}", "toy_file") + f"    {register}\n"
    (tmp_path / "toy_file.py").write_text("from mmx.config import PartConfig\n" + text)
    registries = Plugins(files=[tmp_path / "toy_file.py"], discover=False).registries
    assert registries["index"]["one"].row.needs == ("places",)

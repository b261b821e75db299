"""What holds for the project as a whole."""

import re
import tomllib
from pathlib import Path

import pytest

from mmx.plugin.hookspecs import hookimpl
from mmx.plugin.manager import HOOKS, Plugins
from mmx.recipe import load
from mmx.recipe.bundled import bundled
from mmx.recipe.write import to_toml

ROOT = Path(__file__).parents[1]
RECIPES = sorted(bundled())


def test_hooks_are_marked_by_the_name_that_the_package_offers() -> None:
    import mmx

    assert mmx.hookimpl is hookimpl


def test_every_plugin_folder_has_an_entry_point() -> None:
    """A new folder needs a line in pyproject.toml, and ``pip install -e .`` again."""
    folder = ROOT / "plugins"
    if not folder.is_dir():
        pytest.skip("the suite runs beside an installed package")
    entries = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["mmx.plugins.v1"]
    packages = {value.partition(":")[0].partition(".")[0] for value in entries.values()} - {"mmx"}
    libraries = {"mmx_storage"}  # what plugins import, and no recipe names
    assert sorted(packages | libraries) == sorted(
        path.name for path in folder.iterdir() if path.name.startswith("mmx_")
    )


def test_every_plugin_of_ours_is_usable() -> None:
    plugins = Plugins()
    plugins.load_all()
    assert [str(entry) for entry in plugins.unusable] == []
    assert not any(plugins.registries[kind].clashes() for kind in plugins.registries.kinds)


def test_there_are_recipes() -> None:
    assert {"quickstart", "quickstart_vit"} <= set(RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_holds_and_loads_back_as_itself(name: str, tmp_path: Path) -> None:
    registries = Plugins().registries
    recipe = load(name, (), (), registries)
    again = tmp_path / f"{name}.toml"
    again.write_text(to_toml(recipe))
    assert load(again, (), (), registries) == recipe


def test_the_readme_has_the_two_commands() -> None:
    readme = (ROOT / "README.md").read_text()
    commands = dict(re.findall(r"<!-- (run|test) -->\n```console\n(.+)\n```", readme))
    assert commands["run"].endswith("mmx run recipes/quickstart.toml")
    assert commands["test"].endswith("-m pytest -n auto")


@pytest.mark.parametrize("name", ["quickstart", "quickstart_vit"])
def test_the_overrides_of_the_help_page_hold(name: str) -> None:
    recipe = load(name, ("train.steps=50", "optim.lr=1e-3"), (), Plugins().registries)
    assert recipe.train.steps == 50 and recipe.train.epochs is None


def test_the_readmes_recipe_holds(tmp_path: Path) -> None:
    (block,) = re.findall(r"```toml\n(.+?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    path = tmp_path / "my.toml"
    path.write_text(block)
    recipe = load(path, (), (), Plugins().registries)
    assert recipe.data.train is not None
    assert recipe.image_encoder.name == "vit" and recipe.data.train.name == "shards"


def test_every_hook_stands_in_the_manual_with_its_meaning() -> None:
    from mmx.plugin import hookspecs

    assert len(HOOKS) >= 5
    assert all((getattr(hookspecs, hook).__doc__ or "").strip() for hook in HOOKS)


def test_the_two_sides_of_the_package_are_typed() -> None:
    import mmx

    assert (Path(str(mmx.__file__)).parent / "py.typed").is_file()

"""From the name of a recipe to a file."""

from pathlib import Path

import pytest

from mmx.errors import RecipeError
from mmx.plugin.registry import Registries
from mmx.recipe.bundled import bundled, find_recipe, label, summary
from mmx.recipe.load import load
from mmx.recipe.source import parse
from throwaway import Write


@pytest.mark.parametrize("name", ["quickstart", "quickstart.toml", "recipes/quickstart.toml"])
def test_a_recipe_of_mmx_is_found_from_anywhere(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = find_recipe(name)
    assert found.bundled and found.path == bundled()["quickstart"]


def test_a_file_comes_first(write: Write) -> None:
    found = find_recipe(write("quickstart.toml"))
    assert not found.bundled and found.path == Path("quickstart.toml")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("quickstrat", "quickstrat: there is no such recipe; did you mean 'quickstart'? (bundled: "),
        ("mine/ab.toml", "mine/ab.toml: there is no such recipe; did you mean 'mine/abc.toml'? (bundled: "),
        ("elsewhere/quickstart.toml", "elsewhere/quickstart.toml: there is no such recipe; did you mean 'quickstart'?"),
        ("mine", "mine: is not a file; a recipe is a .toml file"),
        ("quickstart.json", "quickstart.json: there is no such recipe; did you mean 'quickstart'?"),
        ("pipe:cat /etc/passwd", "pipe:cat /etc/passwd: there is no such recipe"),
        ("a\0b", "a\0b: there is no such recipe"),
        ("a" * 5000, "'aaaaaaaa"),
        ("", ".: is not a file"),
    ],
)
def test_names_that_lead_nowhere(write: Write, name: str, expected: str) -> None:
    write("mine/abc.toml")
    with pytest.raises(RecipeError) as caught:
        find_recipe(name)
    assert str(caught.value).startswith(expected)


def test_every_bundled_recipe_says_what_it_is_for() -> None:
    assert bundled()
    for name, path in bundled().items():
        assert len(summary(path)) > 20, f"{name} does not start with a comment"
        assert parse(path.read_text(encoding="utf-8"), name)


def test_files_are_called_by_short_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert label(tmp_path / "a" / "r.toml") == "a/r.toml"
    assert label(Path("../r.toml")) == "../r.toml"
    assert label(bundled()["quickstart"]) == "mmx_recipes/quickstart.toml"


def test_load_takes_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        RecipeError, match=r"(?s)mmx_recipes/quickstart\.toml:\d+: image_encoder\.name: no image_encoder"
    ):
        load("quickstart", (), (), Registries())

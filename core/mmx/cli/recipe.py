"""``mmx recipe``: check, show, schema, list, copy, new."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmx.cli import new
from mmx.cli.door import Door
from mmx.cli.guard import guarded, printable
from mmx.cli.output import print_json
from mmx.cli.words import Json, PluginFiles, RecipeName, Sets, Unset, examples

if TYPE_CHECKING:
    from mmx.plugin.registry import Registries
    from mmx.recipe.document import Document
    from mmx.recipe.problems import Problem
    from mmx.recipe.schema import Recipe


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        cls=Door,
        help="Check, show, list, copy and write recipes.",
        epilog=examples("mmx recipe list", "mmx recipe check my.toml", "mmx recipe schema optim"),
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command("check", epilog=examples("mmx recipe check my.toml", "mmx recipe check my.toml --deep"))(check)
    group.command("show", epilog=examples("mmx recipe show quickstart", "mmx recipe show my.toml --set optim.lr=5e-4"))(
        show
    )
    group.command(
        "schema",
        epilog=examples(
            "mmx recipe schema",
            "mmx recipe schema optim train",
            "mmx recipe schema losses.clip",
            "mmx recipe schema --json",
        ),
    )(schema)
    new.register(group)
    app.add_typer(group, name="recipe")


@guarded
def check(
    recipe: RecipeName,
    sets: Sets = None,
    unset: Unset = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also build the model without memory, and read the first samples.")
    ] = False,
    plugin: PluginFiles = None,
    json: Json = False,
) -> int:
    """Say everything that is wrong with a recipe."""
    from mmx.errors import MmxError
    from mmx.plugin.manager import Plugins
    from mmx.recipe.load import examine, failure, read
    from mmx.wording import summed

    registries = Plugins(files=plugin or ()).registries
    problems: Sequence[Problem] = ()
    advice = ""
    say = _silent if json else print
    try:
        document = read(recipe, sets or (), unset or ())
        found = examine(document, registries)
        if isinstance(found, list):
            problems = found
        else:
            problems = _absent_models(found, document, registries)
            if deep or not found.data.given():
                advice = _about_data(Path(recipe), sets or (), unset or (), found, registries)
                problems = [*problems, *(_deep(found, document, registries, say) if deep else ())]
        if problems:
            raise failure(problems, document.label, advice)
    except MmxError as error:
        if not json:
            raise
        print_json(
            {"ok": False, "recipe": recipe, "message": str(error), "problems": [asdict(item) for item in problems]}
        )
        return error.exit_code
    if json:
        print_json({"ok": True, "recipe": recipe, "message": advice, "problems": []})
    else:
        print(f"{document.label}: the recipe holds")
        if not isinstance(found, list):
            print(textwrap.fill(f"losses: {summed(found)}", 80, subsequent_indent="  "))
        if advice:
            print(f"\n{advice}")
    return 0


def _about_data(path: Path, sets: Sequence[str], unset: Sequence[str], recipe: Recipe, registries: Registries) -> str:
    """Say how the recipe is given data where it has none; empty if it has."""
    from mmx.recipe.data import Asked, absent, how_to_give

    why = absent(recipe)
    if not why:
        return ""
    lines = how_to_give(Asked(path, sets, unset), recipe, registries)
    return lines if recipe.data.given() else f"{why}\n\n{lines}"


def _absent_models(recipe: Recipe, document: Document, registries: Registries) -> list[Problem]:
    """Return a problem for each model that the recipe starts from and that is not there."""
    from mmx.models.wanted import absent
    from mmx.recipe.problems import problem

    return [problem(document, tuple(key.split(".")), why) for key, why in absent(recipe, registries)]


def _deep(recipe: Recipe, document: Document, registries: Registries, say: Callable[[str], None]) -> list[Problem]:
    from mmx.train.deep import deep_check

    return deep_check(recipe, document, registries, say)


@guarded
def show(
    recipe: RecipeName, sets: Sets = None, unset: Unset = None, plugin: PluginFiles = None, json: Json = False
) -> None:
    """Print a recipe with every value filled in, and where those came from that are not defaults."""
    from mmx.plugin.manager import Plugins
    from mmx.recipe.load import load
    from mmx.recipe.write import to_toml

    found = load(recipe, sets or (), unset or (), Plugins(files=plugin or ()).registries)
    if json:
        print_json({"recipe": found.resolved(), "sources": found.sources})
    else:
        print(to_toml(found, sources=True), end="")


@guarded
def schema(
    tables: Annotated[
        list[str] | None, typer.Argument(metavar="TABLE", help="A table (optim), or one part (losses.clip).")
    ] = None,
    plugin: PluginFiles = None,
    json: Annotated[bool, typer.Option("--json", help="Print the JSON Schema of recipes, for editors.")] = False,
) -> None:
    """Show what may be written in a recipe."""
    from mmx.plugin.manager import Plugins
    from mmx.recipe import manual
    from mmx.recipe.jsonschema import json_schema

    if json:
        print_json(json_schema(Plugins(files=plugin or ()).registries))
    elif tables:
        registries = Plugins(files=plugin or ()).registries
        print(printable("\n\n".join(manual.page(table, registries) for table in tables)))
    else:
        print(manual.overview())


def _silent(text: str) -> None:
    """Say nothing: stdout belongs to the document."""

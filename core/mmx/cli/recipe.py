"""``mmx recipe``: check, show, schema, list, copy, new."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from mmx.cli import new
from mmx.cli.guard import guarded, printable
from mmx.cli.output import print_json
from mmx.cli.words import Json, RecipeName, Sets, Unset, examples


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
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
    json: Json = False,
) -> int:
    """Say everything that is wrong with a recipe."""
    from mmx.errors import MmxError
    from mmx.plugins import Plugins
    from mmx.recipe.load import examine, failure, read
    from mmx.recipe.schema import Recipe

    plugins = Plugins()
    found: object = []
    try:
        document = read(recipe, sets or (), unset or ())
        found = examine(document, plugins.registries)
        if not isinstance(found, Recipe):
            raise failure(found, document.label)
        if deep:
            from mmx.run.deep import deep_check

            deep_check(found, plugins.registries, _silent if json else print)
    except MmxError as error:
        if not json:
            raise
        problems = found if isinstance(found, list) else []
        print_json(
            {"ok": False, "recipe": recipe, "message": str(error), "problems": [asdict(item) for item in problems]}
        )
        return error.exit_code
    if json:
        print_json({"ok": True, "recipe": recipe, "message": "", "problems": []})
    else:
        print(f"{document.label}: the recipe holds")
    return 0


@guarded
def show(recipe: RecipeName, sets: Sets = None, unset: Unset = None, json: Json = False) -> None:
    """Print a recipe with every value filled in, and where those came from that are not defaults."""
    from mmx.plugins import Plugins
    from mmx.recipe.load import load
    from mmx.recipe.write import to_toml

    found = load(recipe, sets or (), unset or (), Plugins().registries)
    if json:
        print_json({"recipe": found.resolved(), "sources": found.sources})
    else:
        print(to_toml(found, sources=True), end="")


@guarded
def schema(
    tables: Annotated[
        list[str] | None, typer.Argument(metavar="TABLE", help="A table (optim), or one part (losses.clip).")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the JSON Schema of recipes, for editors.")] = False,
) -> None:
    """Show what may be written in a recipe."""
    from mmx.plugins import Plugins
    from mmx.recipe import manual
    from mmx.recipe.jsonschema import json_schema

    if json:
        print_json(json_schema(Plugins().registries))
    elif tables:
        registries = Plugins().registries
        print(printable("\n\n".join(manual.page(table, registries) for table in tables)))
    else:
        print(manual.overview())


def _silent(text: str) -> None:
    """Say nothing: stdout belongs to the document."""

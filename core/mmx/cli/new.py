"""``mmx recipe list``, ``copy`` and ``new``."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from inspect import Parameter, Signature
from pathlib import Path
from typing import Annotated

import typer

from mmx.cli.guard import guarded, printable
from mmx.cli.output import print_json
from mmx.cli.words import Json, PluginFiles, examples
from mmx.plugin.kinds import KINDS


def register(group: typer.Typer) -> None:
    """Add the commands."""
    group.command("list", epilog=examples("mmx recipe list", "mmx recipe list --json"))(listing)
    group.command("copy", epilog=examples("mmx recipe copy quickstart", "mmx recipe copy quickstart my.toml"))(copy)
    group.command("new", epilog=examples("mmx recipe new my.toml", "mmx recipe new my.toml --image-encoder vit"))(new)


@guarded
def listing(json: Json = False) -> None:
    """List the recipes that come with mmx."""
    from mmx.recipe.bundled import bundled, summary

    rows = [{"name": name, "summary": summary(path), "path": str(path)} for name, path in bundled().items()]
    if json:
        print_json({"recipes": rows})
        return
    for row in rows:
        print(printable(textwrap.fill(f"{row['name']}: {row['summary']}", 80, subsequent_indent="    ")))
    print("\nmmx run NAME trains one; mmx recipe copy NAME makes a file to change")


@guarded
def copy(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A recipe of mmx.")],
    to: Annotated[Path | None, typer.Argument(metavar="FILE", help="The new file; NAME.toml if not given.")] = None,
) -> None:
    """Copy a recipe of mmx into a file of your own."""
    from mmx.recipe.bundled import bundled, find_recipe

    source = bundled().get(Path(name).stem) or find_recipe(name).path
    target = to or Path(f"{source.stem}.toml")
    if target.is_dir():
        target = target / f"{source.stem}.toml"
    text = source.read_text(encoding="utf-8")
    _write(target, re.sub(r"^extends *=.*$", _by_name, text, flags=re.MULTILINE))
    print(f"wrote {target}; next: mmx recipe check {target}")


@guarded
def new(file: Path, plugin: list[Path] | None = None, **chosen: str | list[str] | None) -> None:
    """Write a recipe from chosen parts, with every option and its help; mmx plugins lists the parts."""
    from mmx.plugin.manager import Plugins
    from mmx.recipe.template import template
    from mmx.wording import counted

    names = {kind: [name] if isinstance(name, str) else name for kind, name in chosen.items() if name}
    text = template(names, Plugins(files=plugin or ()).registries)
    _write(file, text)
    needed = text.count("  # NEEDED")
    todo = f"; fill in the {counted(needed, 'line')} marked NEEDED" if needed else ""
    print(f"wrote {file}{todo}; next: mmx recipe check {file}")


def _parameters() -> Iterator[Parameter]:
    """Yield what typer reads: the file, and an option for each kind of part that a recipe has a table for."""
    one = Annotated[str | None, typer.Option(metavar="NAME")]
    several = Annotated[list[str] | None, typer.Option(metavar="NAME", help="Repeatable.")]
    file = Annotated[Path, typer.Argument(metavar="FILE", help="The new file.")]
    yield Parameter("file", Parameter.KEYWORD_ONLY, annotation=file)
    for kind in KINDS.values():
        if kind.table:
            type = several if kind.many and not kind.first else one
            yield Parameter(kind.name, Parameter.KEYWORD_ONLY, default=None, annotation=type)
    yield Parameter("plugin", Parameter.KEYWORD_ONLY, default=None, annotation=PluginFiles)


new.__signature__ = Signature(list(_parameters()))  # pyright: ignore[reportFunctionMemberAccess]


def _by_name(match: re.Match[str]) -> str:
    """Let a copied recipe extend recipes of mmx by name, since their files are not next to it."""
    return match[0].replace('.toml"', '"')


def _write(path: Path, text: str) -> None:
    from mmx.errors import RecipeError

    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise RecipeError(f"{path} exists; it is not overwritten: give another name, or remove it") from None
    except (OSError, ValueError) as error:
        raise RecipeError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}") from error

"""``mmx plugins``: what is installed, what is wrong with it, and the options of a part."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmx.cli.guard import guarded, printable
from mmx.cli.output import print_json
from mmx.cli.words import Json, examples

if TYPE_CHECKING:
    from mmx.entries import PluginEntry
    from mmx.plugins import Plugins
    from mmx.registry import Entry, Registries

EXAMPLES = examples("mmx plugins", "mmx plugins --json", "mmx plugins show loss clip")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
    group.callback(epilog=EXAMPLES)(listing)
    group.command("show", epilog=examples("mmx plugins show loss clip", "mmx plugins show image_encoder vit"))(show)
    app.add_typer(group, name="plugins")


def listing(context: typer.Context, json: Json = False) -> None:
    """List plugins and their parts, and say what is broken."""
    if context.invoked_subcommand is None:
        print_plugins(json=json)


@guarded
def print_plugins(json: bool) -> None:
    """Print what is installed."""
    from mmx.plugins import Plugins

    plugins = Plugins()
    if json:
        print_json({"plugins": [_plain(entry, plugins) for entry in plugins.entries]})
        return
    print(printable("\n".join(_lines(plugins))))


@guarded
def show(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="Kind of the part, such as loss.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the part, such as clip.")],
    json: Json = False,
) -> None:
    """Show the options of a part, where they are defined, and a table to paste into a recipe."""
    from mmx.plugins import Plugins
    from mmx.recipe.manual import part_page, part_plain

    entry = _entry(kind, name, Plugins().registries)
    if json:
        print_json(part_plain(entry))
    else:
        print(printable(part_page(entry)))


def _entry(kind: str, name: str, registries: Registries) -> Entry:
    """Find a part. Only where a plugin is to blame for its absence is that a plugin's error."""
    from mmx.errors import RecipeError
    from mmx.recipe.manual import kind_of

    registry = registries[kind_of(kind)]
    refusal = registry.refusal(name)
    if refusal is None or refusal.plugin:
        return registry[name]
    others = [f"  mmx plugins show {part.kind} {name}" for part in registries if part.name == name]
    elsewhere = ["there is one of another kind:", *others] if others else []
    raise RecipeError("\n".join([refusal.text, *elsewhere, "help: mmx plugins"]))


def _lines(plugins: Plugins) -> list[str]:
    text: list[str] = []
    for distribution in dict.fromkeys((entry.distribution, entry.version) for entry in plugins.usable):
        text.append(" ".join(distribution).strip() or "given by hand")
        for entry in plugins.usable:
            if (entry.distribution, entry.version) == distribution:
                text += _parts(entry, [part for part in plugins.registries if part.owner == entry.owner])
    for entry in plugins.unusable:
        text += ["", f"{entry.status}: {entry.owner}", *_wrap(entry.reason, "  ")]
    clashes = [clash for registry in plugins.registries.kinds.values() for clash in registry.clashes()]
    for clash in clashes:
        text += ["", *_wrap(f"clash: {clash}", "")]
    return [*text, "", "mmx plugins show KIND NAME shows the options of a part"]


def _parts(entry: PluginEntry, parts: Sequence[Entry]) -> list[str]:
    kinds: dict[str, list[str]] = {}
    for part in parts:
        kinds.setdefault(part.kind, []).append(part.name)
    rows = [f"{kind}: {', '.join(names)}" for kind, names in kinds.items()] or ["hooks only"]
    return [f"  {entry.name if index == 0 else '':<12} {row}" for index, row in enumerate(rows)]


def _wrap(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text, 80, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _plain(entry: PluginEntry, plugins: Plugins) -> dict[str, Any]:
    from dataclasses import asdict

    parts = [part for part in plugins.registries if part.owner == entry.owner]
    return {**asdict(entry), "parts": [{"kind": p.kind, "name": p.name, "summary": p.summary} for p in parts]}

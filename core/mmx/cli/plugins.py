"""``mmx plugins``: what is installed, what is wrong with it, and the options of a part."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmx.cli.door import Door
from mmx.cli.guard import guarded, printable
from mmx.cli.output import print_json
from mmx.cli.words import Json, PluginFiles, TraceCalls, examples

if TYPE_CHECKING:
    from mmx.plugin.entries import PluginEntry
    from mmx.plugin.kinds import Entry
    from mmx.plugin.manager import Plugins
    from mmx.plugin.registry import Registries

EXAMPLES = examples(
    "mmx plugins",
    "mmx plugins --json",
    "mmx plugins show loss clip",
    "mmx plugins new loss my_loss",
    "mmx plugins check my_loss.py",
)
SHOW_EXAMPLES = examples(
    "mmx plugins show loss clip", "mmx plugins show clip", "mmx plugins show loss mine --plugin mine.py"
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(cls=Door, invoke_without_command=True, rich_markup_mode=None)
    group.callback(epilog=EXAMPLES)(listing)
    group.command("show", epilog=SHOW_EXAMPLES)(show)
    app.add_typer(group, name="plugins")


def listing(context: typer.Context, plugin: PluginFiles = None, trace: TraceCalls = False, json: Json = False) -> None:
    """List plugins and their parts, say what is broken; show, make and check them."""
    if context.invoked_subcommand is None:
        print_plugins(plugin=plugin, trace=trace, json=json)


@guarded
def print_plugins(plugin: PluginFiles, trace: bool, json: bool) -> None:
    """Print what is installed."""
    from mmx.plugin.manager import Plugins
    from mmx.train.prepare import tracer

    plugins = Plugins(files=plugin or (), say=lambda text: None, trace=tracer(trace))
    plugins.load_all()
    if json:
        print_json({"plugins": [_plain(entry, plugins) for entry in plugins.entries]})
        return
    print(printable("\n".join(_lines(plugins))))


@guarded
def show(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="Kind of the part, such as loss; or a name alone.")],
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Name of the part, such as clip.")] = None,
    plugin: PluginFiles = None,
    json: Json = False,
) -> None:
    """Show what a part does, its options, where it is defined, and a table to paste into a recipe."""
    from mmx.plugin.manager import Plugins
    from mmx.recipe.manual import part_page, part_plain

    registries = Plugins(files=plugin or ()).registries
    entry = _named(kind, registries) if name is None else _entry(kind, name, registries)
    if json:
        print_json(part_plain(entry))
    else:
        print(printable(part_page(entry)))


def _named(name: str, registries: Registries) -> Entry:
    """Find the one part of a name, or of ``KIND.NAME``."""
    from mmx.errors import RecipeError

    known_kinds = registries.kinds
    kind, _, rest = name.partition(".")
    if rest and kind in known_kinds:
        return _entry(kind, rest, registries)
    kinds = [kind for kind in known_kinds if name in registries[kind].names()]
    if len(kinds) == 1:
        return _entry(kinds[0], name, registries)
    if kinds:
        raise RecipeError("\n".join([f"'{name}' is a part of several kinds:", *_shows(kinds, name)]))
    if name in known_kinds:
        known = registries[name].names()
        raise RecipeError("\n".join([f"which {name}?", *(f"  mmx plugins show {name} {one}" for one in known)]))
    raise RecipeError(f"there is no part '{name}'\nhelp: mmx plugins")


def _entry(kind: str, name: str, registries: Registries) -> Entry:
    """Find a part. Only where a plugin is to blame for its absence is that a plugin's error."""
    from mmx.errors import RecipeError
    from mmx.recipe.manual import kind_of

    registry = registries[kind_of(kind, registries.kinds)]
    refusal = registry.refusal(name)
    if refusal is None or refusal.plugin:
        return registry[name]
    others = [other for other in registries.kinds if name in registries[other].names()]
    elsewhere = ["there is one of another kind:", *_shows(others, name)] if others else []
    raise RecipeError("\n".join([refusal.text, *elsewhere, "help: mmx plugins"]))


def _shows(kinds: Sequence[str], name: str) -> list[str]:
    return [f"  mmx plugins show {kind} {name}" for kind in kinds]


def _lines(plugins: Plugins) -> list[str]:
    text: list[str] = []
    for distribution in dict.fromkeys((entry.distribution, entry.version) for entry in plugins.loaded):
        text.append(" ".join(distribution).strip() or "given with --plugin")
        for entry in plugins.loaded:
            if (entry.distribution, entry.version) == distribution:
                text += _parts(entry)
    for entry in plugins.unusable:
        text += ["", f"{entry.status}: {entry.owner}", *_wrap(entry.reason, "  ")]
    for entry in plugins.loaded:
        for note in entry.deprecated:
            text += ["", *_wrap(f"deprecated: {entry.owner}: {note}", "")]
    clashes = [clash for registry in plugins.registries.kinds.values() for clash in registry.clashes()]
    for clash in clashes:
        text += ["", *_wrap(f"clash: {clash}", "")]
    return [*text, "", "mmx plugins show KIND NAME shows a part; mmx plugins check NAME checks a plugin"]


def _parts(entry: PluginEntry) -> list[str]:
    kinds: dict[str, list[str]] = {}
    for kind, name in entry.parts:
        kinds.setdefault(kind, []).append(name)
    rows = [f"{kind}: {', '.join(names)}" for kind, names in kinds.items()]
    hooks = [hook for hook in entry.hooks if hook != "mmx_register"]
    rows += [f"hooks: {', '.join(hooks)}"] if hooks else []
    return [f"  {entry.module if index == 0 else '':<16} {row}" for index, row in enumerate(rows)]


def _wrap(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text, 80, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _plain(entry: PluginEntry, plugins: Plugins) -> dict[str, Any]:
    from dataclasses import asdict

    summaries = {(part.kind, part.name): part.summary for part in plugins.registries.registered(entry.owner)}
    parts = [{"kind": kind, "name": name, "summary": summaries.get((kind, name), "")} for kind, name in entry.parts]
    return {**asdict(entry), "parts": parts}

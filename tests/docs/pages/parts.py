"""Our own parts and the options of each, as the recipes' help describes them."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import distribution

from mmx.config import PartConfig
from mmx.plugin.commands import installed, summary
from mmx.plugin.entries import GROUP
from mmx.plugin.kinds import KINDS, Entry
from mmx.plugin.registry import Registries
from mmx.recipe.describe import Option, options
from pages.markdown import cell, code, inline, table


def modules() -> list[str]:
    """Return the entry modules of mmx itself."""
    points = distribution("mmx").entry_points.select(group=GROUP)
    return sorted({point.module for point in points if not point.attr})


def ours() -> Registries:
    """Return the parts that come with mmx, whatever else is installed."""
    registries = Registries()
    for module in modules():
        import_module(module).mmx_register(registries.owned_by(module))
    for name, (entry, *_) in installed().items():
        if entry.distribution == "mmx":
            registries.owned_by("mmx").command(name, entry.module, summary(entry.module).rstrip("."))
    return registries


def own_options(config: type[PartConfig], kind: str) -> list[Option]:
    """Return the options that a part adds to those of its kind, and those that have another default."""
    common = {(option.key, option.default) for option in options(KINDS[kind].options())}
    return [option for option in options(config) if (option.key, option.default) not in common]


def option_table(rows: list[Option]) -> list[str]:
    return table(
        ("option", "type", "default", "meaning"),
        [
            (code(row.key), cell(row.type), "needed" if row.needed else code(row.default) or "none", cell(row.help))
            for row in rows
        ],
    )


def page() -> str:
    registries = ours()
    lines = [
        "# Parts that come with mmx",
        "",
        "Every part and its own options. The options that all parts of a kind share are on the page of",
        "[kinds](kinds.md). `mmx plugins show KIND NAME` prints the same, and a table to paste.",
        "",
    ]
    for kind in KINDS:
        entries = list(registries[kind])
        if entries:
            row = KINDS[kind]
            where = f"In the table `[{row.place('NAME')}]`." if row.table else f"{row.about[0].upper()}{row.about[1:]}."
            lines += [f"## {kind}", "", where, ""]
            lines += [line for entry in entries for line in _part(entry)]
    return "\n".join(lines).rstrip() + "\n"


def _part(entry: Entry) -> Iterator[str]:
    yield f"### {entry.kind} {entry.name}"
    yield ""
    yield f"{inline(entry.summary)[0].upper()}{inline(entry.summary)[1:]}. From `{entry.owner}`: `{entry.part}`."
    yield ""
    if not entry.row.config:
        return
    rows = own_options(entry.config, entry.kind)
    yield from option_table(rows) if rows else ["It has no options of its own.", ""]

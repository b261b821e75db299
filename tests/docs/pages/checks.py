"""The page on what the conformance kit checks of each kind of part."""

from __future__ import annotations

from mmx.plugin.kinds import KINDS
from mmx_kit.catalogue import CHECKS
from pages.markdown import cell, code, table


def page() -> str:
    lines = [
        "# Checks",
        "",
        "What the [conformance kit](../kit.md) checks of each kind of part, in the order in which it does.",
        "A check that rests on another says nothing of a part that breaks that one.",
        "",
    ]
    for kind in KINDS:
        rows = [(code(check.name), cell(check.about), code(check.after)) for check in CHECKS if kind in check.kinds]
        lines += [f"## {kind}", "", *table(("check", "it must hold that", "rests on"), rows)]
    return "\n".join(lines).rstrip() + "\n"

"""``mmx plugins check``: the conformance kit as a table."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from mmx.cli.guard import guarded, printable
from mmx.cli.output import print_json
from mmx.cli.words import Json, examples

if TYPE_CHECKING:
    from mmx.testing import Conformance, Finding

EXAMPLES = examples("mmx plugins check my_loss.py", "mmx plugins check mmx-my-loss", "mmx plugins check mmx loss.clip")
BROKEN = 3
"""The exit code where a part is broken: a plugin is to blame."""


def register(group: typer.Typer) -> None:
    """Add the command."""
    group.command("check", epilog=EXAMPLES)(check)


@guarded
def check(
    plugin: Annotated[str, typer.Argument(metavar="PACKAGE|FILE", help="An installed plugin, or one Python file.")],
    parts: Annotated[
        list[str] | None, typer.Argument(metavar="KIND.NAME", help="Parts to check; all of them if not given.")
    ] = None,
    json: Json = False,
) -> int:
    """Check that the parts of a plugin do what parts of their kind must do."""
    from mmx.testing import checks_of

    checks = checks_of(plugin, *(parts or ()))
    if json:
        from dataclasses import asdict

        found = [one.find() for one in checks]
        print_json({"plugin": plugin, "findings": [asdict(finding) for finding in found]})
    else:
        found = _print(checks)
    return BROKEN if any(finding.status == "broken" for finding in found) else 0


def _print(checks: Sequence[Conformance]) -> list[Finding]:
    found: list[Finding] = []
    width = max(len(one.check.name) for one in checks)
    part, said = "", set[str]()
    for one in checks:
        finding = one.find()
        if finding.part != part:
            part, said = finding.part, set()
            print(printable(f"{part}  of {one.entry.owner}"))
        again = finding.status == "not applicable" and finding.message in said
        print(
            printable("\n".join(_row(replace(finding, message="see above") if again else finding, width))), flush=True
        )
        said.add(finding.message)
        found.append(finding)
    print()
    print(printable("\n".join(_sums(found))))
    return found


def _row(finding: Finding, width: int) -> Iterable[str]:
    """Write one row: the check, what came of it, and in full what is broken."""
    start = f"  {finding.check:<{width}}  "
    if finding.status == "holds":
        return [f"{start}ok"]
    word = "BROKEN: " if finding.status == "broken" else "not applicable: "
    indent = " " * len(start)
    rows = [
        row
        for line in f"{word}{finding.message}".splitlines()
        for row in textwrap.wrap(line, 80, initial_indent=indent, subsequent_indent=indent, break_long_words=False)
    ]
    rows[0] = start + rows[0].lstrip()
    return [*rows, f"{indent}(it must hold that {finding.about})"] if finding.status == "broken" else rows


def _sums(found: Sequence[Finding]) -> Iterable[str]:
    for part in dict.fromkeys(finding.part for finding in found):
        own = [finding for finding in found if finding.part == part]
        counts = [(sum(f.status == word for f in own), text) for word, text in _WORDS]
        said = ", ".join(f"{count} {text}" for count, text in counts if count)
        yield f"{part}: {said} ({sum(finding.seconds for finding in own):.1f} s)"


_WORDS = (("holds", "hold"), ("broken", "BROKEN"), ("not applicable", "do not apply"))

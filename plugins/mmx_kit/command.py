"""``mmx plugins check``: the conformance kit as a table."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmx.cli.guard import guarded, printable
from mmx.cli.output import print_json
from mmx.cli.words import Json

if TYPE_CHECKING:
    from mmx_kit import Conformance, Finding

BROKEN = 3
"""The exit code where a part is broken: a plugin is to blame."""
_SHORT = 40
"""Reasons of up to so many characters, such as "see determinism", are told each time."""


@guarded
def check(
    plugin: Annotated[str, typer.Argument(metavar="PACKAGE|FILE", help="An installed plugin, or one Python file.")],
    parts: Annotated[
        list[str] | None, typer.Argument(metavar="KIND.NAME", help="Parts to check; all of them if not given.")
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show the options that were checked, and what each check is about.")
    ] = False,
    beside: Annotated[
        list[Path] | None,
        typer.Option("--plugin", metavar="FILE", help="A plugin file with parts that these need. Repeatable."),
    ] = None,
    json: Json = False,
) -> int:
    """Check that the parts of a plugin do what parts of their kind must do.

    Examples:
        mmx plugins check my_loss.py
        mmx plugins check mmx-my-loss
        mmx plugins check mmx loss.clip
    """
    from mmx_kit import checks_of

    checks = checks_of(plugin, *(parts or ()), beside=beside or ())
    if json:
        from dataclasses import asdict

        found = [one.find() for one in checks]
        print_json({"plugin": plugin, "findings": [asdict(finding) for finding in found]})
    else:
        found = _print(checks, verbose)
    return BROKEN if any(finding.status == "broken" for finding in found) else 0


def _print(checks: Sequence[Conformance], verbose: bool) -> list[Finding]:
    found: list[Finding] = []
    width = max(len(one.check.name) for one in checks)
    part, said = "", set[str]()
    for one in checks:
        finding = one.find()
        if finding.part != part:
            part, said = finding.part, set()
            print(printable(f"{part}  of {one.entry.owner}"))
            if verbose:
                print(printable("\n".join(_options(one))))
        again = finding.status == "not applicable" and finding.message in said and len(finding.message) > _SHORT
        shown = replace(finding, message="see above") if again else finding
        print(printable("\n".join(_row(shown, width, verbose))), flush=True)
        said.add(finding.message)
        found.append(finding)
    print()
    print(printable("\n".join(_sums(found))))
    return found


def _options(one: Conformance) -> Iterable[str]:
    """Write the options that a part is checked with as a table of a recipe; those that are not given as comments."""
    import tomli_w

    options = one.options
    given = tomli_w.dumps({name: value for name, value in options.items() if value is not None})
    yield "  with the options"
    yield from (f"    # {name} is not given" for name, value in options.items() if value is None)
    yield from (f"    {line}" for line in given.splitlines())


def _row(finding: Finding, width: int, verbose: bool) -> Iterable[str]:
    """Write one row: the check, what came of it, and in full what is broken."""
    start = f"  {finding.check:<{width}}  "
    if finding.status == "holds":
        return _wrapped(start, f"ok: {finding.about}") if verbose else [f"{start}ok"]
    word = "BROKEN: " if finding.status == "broken" else "not applicable: "
    rows = _wrapped(start, f"{word}{finding.message}")
    rule = f"(it must hold that {finding.about})"
    return [*rows, *_wrapped(" " * len(start), rule)] if finding.status == "broken" or verbose else rows


def _wrapped(start: str, text: str) -> list[str]:
    indent = " " * len(start)
    rows = [
        row
        for line in text.splitlines()
        for row in textwrap.wrap(line, 80, initial_indent=indent, subsequent_indent=indent, break_long_words=False)
    ]
    rows[0] = start + rows[0].lstrip()
    return rows


def _sums(found: Sequence[Finding]) -> Iterable[str]:
    for part in dict.fromkeys(finding.part for finding in found):
        own = [finding for finding in found if finding.part == part]
        counts = {word: sum(finding.status == word for finding in own) for word in _WORDS}
        said = ", ".join(f"{count} {_WORDS[word][count > 1]}" for word, count in counts.items() if count)
        yield f"{part}: {said} ({sum(finding.seconds for finding in own):.1f} s)"


_WORDS = {
    "holds": ("holds", "hold"),
    "broken": ("BROKEN", "BROKEN"),
    "not applicable": ("does not apply", "do not apply"),
}
"""Of one, and of several."""

"""``mmx doctor``: what works on this machine, and what to do where it does not."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Final

from mmx.cli.guard import guarded, printable
from mmx.cli.output import print_json
from mmx.cli.words import Json

if TYPE_CHECKING:
    from mmx_doctor.finding import Finding

WIDTH: Final = 80
COLUMN: Final = 19
"""Where values start."""


@guarded
def doctor(json: Json = False) -> int:
    """Say what works on this machine, and what to do where it does not. The exit code is 1 if there is a problem.

    Examples:
        mmx doctor
        mmx doctor --json
    """
    from dataclasses import asdict

    from mmx_doctor.examine import examine

    found = examine()
    problems = sum(finding.state == "problem" for finding in found)
    if json:
        print_json({"ok": not problems, "problems": problems, "findings": [asdict(finding) for finding in found]})
    else:
        print(printable("\n".join(_lines(found))))
        print(f"{problems} problem{'s' if problems > 1 else ''}" if problems else "all good")
    return 1 if problems else 0


def _lines(found: Sequence[Finding]) -> Iterator[str]:
    for section, findings in groupby(found, key=lambda finding: finding.section):
        yield section
        before = ""
        for finding in findings:
            yield from _row("" if finding.name == before else finding.name, finding)
            before = finding.name
        yield ""


def _row(name: str, finding: Finding) -> Iterator[str]:
    """Yield a finding's lines; a name that is wider than its column has a line of its own."""
    start = f"  {name}"
    if len(start) >= COLUMN:
        yield from _wrapped(name, "  ", "  ")
        start = ""
    value = finding.value if finding.state == "ok" else f"{finding.state}: {finding.value}"
    yield from _wrapped(value, start.ljust(COLUMN), " " * COLUMN)
    yield from _wrapped(finding.advice, " " * (COLUMN + 2), " " * (COLUMN + 2))


def _wrapped(text: str, first: str, rest: str) -> Iterator[str]:
    """Yield a text's lines within the width; only a word that is wider than that is broken."""
    for line in text.splitlines():
        yield from textwrap.wrap(line, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)
        first = rest

"""What was found in shards, as lines and as documents."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

from mmx_shards.format.build import Built
from mmx_shards.format.survey import Findings
from mmx_shards.format.verify import Report

WIDTH: Final = 80
COLUMN: Final = 22
"""Where what is said of a shard starts."""


def built_lines(built: Built) -> Iterator[str]:
    """Yield what an index has, and what its samples lack."""
    for part in built.parts:
        if part.damage:
            yield from _row(part.name, [f"left out: {part.damage}"])
        else:
            yield from _row(part.name, _found(part.findings))
    left = sum(bool(part.damage) for part in built.parts)
    more = f"; {left} left out" if left else ""
    yield from _wrapped(f"{built.path}: {_count(len(built.parts) - left, built.samples)}{more}")
    if built.numbers:
        yield from _wrapped(f"numbers of samples: {', '.join(built.numbers)}")
    if built.left_out:
        yield from _wrapped(f"numbers that were too many: {', '.join(built.left_out)}")


def built_document(built: Built) -> dict[str, Any]:
    """Return the same for programs."""
    return {
        "ok": True,
        "index": str(built.path),
        "samples": built.samples,
        "numbers": list(built.numbers),
        "numbers_left_out": list(built.left_out),
        "shards": [
            {
                "name": part.name,
                "samples": part.sizes.samples,
                "damage": part.damage or None,
                "findings": _documents(part.findings),
            }
            for part in built.parts
        ],
    }


def report_lines(reports: Sequence[Report], indexed: bool) -> Iterator[str]:
    """Yield what is wrong with each shard, and a sum."""
    for report in reports:
        found = [what for what in _found(report.findings) if what not in report.wrong]
        yield from _row(report.name, [*(f"wrong: {what}" for what in report.wrong), *found])
    if not indexed:
        yield from _wrapped(
            "without an index, a changed shard or a lost one cannot be found: mmx data index makes one, of shards that "
            "are known to be right"
        )
    wrong = sum(bool(report.wrong) for report in reports)
    whole = "nothing has changed since it was indexed" if indexed else "no damage shows"
    said = f"{wrong} shard{'s' * (wrong > 1)} wrong" if wrong else whole
    yield f"{_count(len(reports), sum(report.samples for report in reports))}: {said}"


def report_document(reports: Sequence[Report], indexed: bool) -> dict[str, Any]:
    """Return the same for programs."""
    return {
        "ok": not any(report.wrong for report in reports),
        "indexed": indexed,
        "shards": [
            {
                "name": report.name,
                "samples": report.samples,
                "wrong": report.wrong,
                "findings": _documents(report.findings),
            }
            for report in reports
        ],
    }


def _count(shards: int, samples: int) -> str:
    return f"{shards:,} shard{'s' * (shards != 1)}, {samples:,} sample{'s' * (samples != 1)}"


def _found(findings: Findings) -> list[str]:
    return [findings.named(what) for what in findings.counts]


def _documents(findings: Findings) -> list[dict[str, Any]]:
    return [{"what": what, "count": count, "samples": findings.names[what]} for what, count in findings.counts.items()]


def _row(name: str, said: Sequence[str]) -> Iterator[str]:
    """Yield a shard's lines, none if nothing is said of it; a name wider than its column has a line of its own."""
    start = PurePosixPath(name).name
    if said and len(start) > COLUMN - 2:
        yield from _wrapped(start)
        start = ""
    for text in said:
        yield from _wrapped(text, start.ljust(COLUMN), " " * COLUMN)
        start = ""


def _wrapped(text: str, first: str = "", rest: str = "") -> Iterator[str]:
    yield from textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False, drop_whitespace=True
    )

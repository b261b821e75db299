"""What all samples come to, in lines of at most 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from mmx.wording import many, percent, printable
from mmx_data.stats import ASPECTS, CHARACTERS, SIDES, Statistics
from mmx_data.text import COLUMN, MOST_BAD, count_text, left_out_row, more, rows, size, wrapped

_BAR: Final = 30
"""Columns of the longest bar."""


def statistics_lines(found: Statistics) -> Iterator[str]:
    """Write what all samples come to."""
    tally = found.tally
    yield from rows(
        [
            ("dataset", found.dataset),
            ("samples", count_text(tally.samples, found.runs)),
            *left_out_row(found.left_out),
            ("good", f"{tally.good:,}"),
            ("bad", f"{tally.samples - tally.good:,} ({percent((tally.samples - tally.good) / tally.samples)})"),
            ("bytes", f"{size(tally.bytes)} in pictures of good samples"),
            ("pictures", ", ".join(f"{name} {count:,}" for name, count in tally.formats.most_common())),
            ("captions", f"{tally.captions:,}"),
        ]
    )
    yield from _histogram("shorter side, px", SIDES, tally.shorter)
    yield from _histogram("longer side, px", SIDES, tally.longer)
    yield from _histogram("longer side over shorter", ASPECTS, tally.aspect)
    yield from _histogram("characters of captions", CHARACTERS, tally.characters)
    if set(tally.per_picture) - {1}:
        yield from _bars("captions of a picture", [(f"{n}", tally.per_picture[n]) for n in sorted(tally.per_picture)])
    yield "\nmore than once"
    yield from rows((name, _repeated(pair.extra, pair.examples)) for name, pair in found.repeated.items())
    if tally.bad:
        yield "\nbad samples"
        for reason, count in tally.bad.most_common(MOST_BAD):
            key = tally.examples[reason][1]
            yield from wrapped(printable(f"{count:,}: {reason} (such as {key})"), "  ", "    ")
        yield from more(len(tally.bad) - MOST_BAD, "reason")


def _repeated(extra: int, examples: Sequence[tuple[str, str]]) -> str:
    pairs = ", ".join(f"{one} and {other}" for one, other in examples)
    return f"{extra:,}" + (f", such as {pairs}" if pairs else "")


def _histogram(title: str, edges: Sequence[float], counts: Mapping[int, int]) -> Iterator[str]:
    used = [at for at in range(len(edges)) if counts.get(at)]
    if used:
        span = range(used[0], used[-1] + 1)
        yield from _bars(title, [(_label(edges, at), counts.get(at, 0)) for at in span])


def _label(edges: Sequence[float], at: int) -> str:
    if at + 1 == len(edges):
        return f"{edges[at]:g} and more"
    step = 1 if isinstance(edges[at + 1], int) else 0
    if step:
        return f"{edges[at]:g} to {edges[at + 1] - step:g}"
    return f"{edges[at]:g} to {edges[at + 1]:g}"


def _bars(title: str, pairs: Sequence[tuple[str, int]]) -> Iterator[str]:
    yield f"\n{title}"
    most = max(1, *(count for _, count in pairs))
    for label, count in pairs:
        bar = "#" * max(int(count > 0), round(_BAR * count / most))
        yield f"  {label:<{COLUMN - 2}}{bar:<{_BAR}}  {many(count)}".rstrip()

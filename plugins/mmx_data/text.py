"""What was found, in lines of at most 80 columns; nothing in them steers a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, cast

from mmx.data.views import Skipped
from mmx.wording import counted, decimal, percent, printable
from mmx_data.inspect import Field, Inspection, Range

WIDTH: Final = 80
COLUMN: Final = 18
"""Where values start."""
MOST_BAD: Final = 10
"""Lines of bad samples, or of reasons."""
_MOST_FIELDS: Final = 20


def inspection_lines(found: Inspection) -> Iterator[str]:
    """Write what a look at a dataset found."""
    yield from rows(facts(found))
    if found.fields:
        yield "\nfields"
        yield from rows((name, field_text(field, found.looked_at)) for name, field in _first(found.fields))
        yield from more(len(found.fields) - _MOST_FIELDS, "field")
    if found.bad:
        yield "\nbad samples"
        yield from bad_lines(found.bad)
    for note in found.notes:
        yield ""
        yield from wrapped(f"note: {printable(note)}", "", "  ")
    yield f"\nin a recipe:\n\n{indented(found.table)}"


def facts(found: Inspection) -> Iterator[tuple[str, str]]:
    """Yield what there is, by name; the page has the same."""
    good = found.looked_at - len(found.bad)
    yield "dataset", found.dataset
    yield "samples", count_text(found.samples, found.runs)
    yield from left_out_row(found.left_out)
    yield "keys", f"{found.first_key} to {found.last_key}"
    all_of = found.looked_at == found.samples
    yield "looked at", f"all {found.samples:,}" if all_of else f"{found.looked_at:,} of them, evenly spread"
    yield "bad", f"{len(found.bad):,} of these ({percent(len(found.bad) / found.looked_at)})"
    if not good or found.shorter is None or found.longer is None or found.per_picture is None:
        return
    yield "pictures", ", ".join(f"{name} {count:,}" for name, count in found.formats.items())
    yield "bytes", f"{size(found.bytes)} in pictures, {size(found.bytes / good)} each"
    yield "shorter side", f"{spread_text(found.shorter)} px"
    yield "longer side", f"{spread_text(found.longer)} px"
    each = found.per_picture
    single = each.min == each.max == 1
    yield "captions", f"{found.captions:,}, " + ("one a picture" if single else f"{spread_text(each)} a picture")
    if found.characters is not None:
        yield "characters", spread_text(found.characters)
    if found.tokens is not None:
        yield f"tokens ({found.tokens.tokenizer})", spread_text(found.tokens.lengths)
        share = percent(found.tokens.truncated / found.captions)
        told = f"{found.tokens.truncated:,} of {found.captions:,} captions ({share}) at {found.tokens.context} tokens"
        yield "cut", told


def count_text(samples: int, runs: int) -> str:
    """Write how many samples there are, and in how many shards or files."""
    return f"{samples:,} in {runs:,} shards or files" if runs > 1 else f"{samples:,}"


def left_out_row(left_out: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Yield how many samples filters leave out, and which; nothing if there are no filters."""
    if left_out:
        each = ", ".join(f"keep.{option}: {count:,}" for option, count in left_out.items())
        yield "left out", f"{sum(left_out.values()):,} ({each})"


def spread_text(found: Range) -> str:
    """Write smallest, middle and largest."""
    if found.min == found.max:
        return f"all {decimal(found.min)}"
    return f"{decimal(found.min)} to {decimal(found.max)}, median {decimal(found.median)}"


def field_text(field: Field, looked_at: int) -> str:
    """Write what is stored under one name."""
    said = spread_text(field.range) if field.range is not None else f"{field.kind}, such as {field.example}"
    return said if field.samples == looked_at else f"{said} (in {field.samples:,})"


def value_text(value: object) -> str:
    """Write a field's value."""
    return ", ".join(map(str, cast(list[object], value))) if isinstance(value, list) else str(value)


def size(count: float) -> str:
    """Write a number of bytes."""
    for unit, step in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= step:
            return f"{count / step:.3g} {unit}"
    return f"{count:.0f} bytes"


def bad_lines(bad: Sequence[Skipped]) -> Iterator[str]:
    """Write the first samples that cannot be used, and why."""
    for one in bad[:MOST_BAD]:
        yield from wrapped(printable(f"{one.key}: {one.reason}"), "  ", "    ")
    yield from more(len(bad) - MOST_BAD, "bad sample")


def indented(text: str) -> str:
    """Indent a block; what is not printable is escaped."""
    return "\n".join(f"    {printable(line)}" for line in text.splitlines())


def _first(fields: Mapping[str, Field]) -> Iterable[tuple[str, Field]]:
    return list(fields.items())[:_MOST_FIELDS]


def more(count: int, noun: str) -> Iterator[str]:
    """Say how many are not shown, if any."""
    if count > 0:
        yield f"  and {counted(count, noun)} more" if count == 1 else f"  and {count:,} {noun}s more"


def rows(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield names and values in two columns."""
    for name, value in pairs:
        start = f"  {printable(name)}"
        if len(start) >= COLUMN:
            yield from wrapped(printable(name), "  ", "  ")
            start = ""
        yield from wrapped(printable(value) or "-", start.ljust(COLUMN), " " * COLUMN)


def wrapped(text: str, first: str, rest: str) -> list[str]:
    """Break a text into lines."""
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)

"""The numbers of an evaluation as rows of text that fit a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mmx import wording

if TYPE_CHECKING:
    from mmx.parts.evaluator import Number, Result

_HEAD: Final = ("", "95 % interval", "chance", "samples")
_GAP: Final = "  "


def number_rows(name: str, result: Result, width: int) -> list[str]:
    """Return a row for each number of an evaluator, the headline first, under a row with the evaluator's name.

    Args:
        name: the evaluator's name in the recipe.
        result: what it found.
        width: columns of the terminal; where a row has more, each number's name gets a row of its own.
    """
    titles = wording.headline_first(result.headline, result.numbers)
    figures = [_HEAD, *(_figures(result.numbers[title]) for title in titles)]
    widths = [max(map(len, column)) for column in zip(*figures, strict=True)]
    cells = [_GAP.join(cell.rjust(wide) for cell, wide in zip(row, widths, strict=True)).rstrip() for row in figures]
    named = [wording.printable(name), *(f"{_GAP}{wording.printable(title)}" for title in titles)]
    longest = max(map(len, named))
    if longest + len(_GAP) + max(map(len, cells)) <= width:
        return [f"{title:<{longest}}{_GAP}{row}".rstrip() for title, row in zip(named, cells, strict=True)]
    return [line for title, row in zip(named, cells, strict=True) for line in (title, f"{2 * _GAP}{row}")]


def _figures(number: Number) -> tuple[str, str, str, str]:
    count = "" if number.count is None else f"{number.count:,}"
    return wording.value(number), wording.interval(number), wording.chance(number), count

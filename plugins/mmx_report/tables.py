"""Tables of a report: every number of an evaluator, and the rows an evaluator adds, such as one for each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

from mmx import wording
from mmx.parts.evaluator import Number
from mmx_report.data import Evaluation

MOST: Final = 5_000
"""Rows of a table that are shown."""

Row = Mapping[str, str | int | float]


def numbers_table(found: Evaluation) -> str:
    """Return all numbers of one evaluator, each with what is needed to judge it."""
    heads = ("value", "95 % interval", "chance", "samples")
    head = "".join(f'<th class="n" scope="col">{title}</th>' for title in heads)
    rows = "".join(
        _number_row(name, found.numbers[name], name == found.headline)
        for name in wording.headline_first(found.headline, found.numbers)
    )
    return (
        f'<div class="card scroll"><table><caption>{escape(found.evaluator)} at step {found.step:,}</caption>'
        f'<thead><tr><th scope="col">number</th>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _number_row(name: str, number: Number, headline: bool) -> str:
    count = "" if number.count is None else f"{number.count:,}"
    cells = (wording.value(number), wording.interval(number), wording.chance(number), count)
    kind = ' class="headline"' if headline else ""
    middle = "".join(f'<td class="n">{escape(cell)}</td>' for cell in cells)
    meaning = f"<small>{escape(number.help)}</small>" if number.help else ""
    return f'<tr{kind}><th scope="row">{escape(name)}{meaning}</th>{middle}</tr>'


def rows_table(title: str, rows: Sequence[Row]) -> str:
    """Return the rows of an evaluator's table, folded; columns with fractions get a small bar."""
    columns = list(dict.fromkeys(column for row in rows[:MOST] for column in row))
    shares = {column for column in columns if _is_share([row[column] for row in rows if column in row])}
    figures = {column for column in columns if all(isinstance(row.get(column, 0), int | float) for row in rows)}
    head = "".join(f'<th scope="col"{_side(column in figures)}>{escape(column)}</th>' for column in columns)
    body = "".join(
        "<tr>" + "".join(_cell(row.get(column, ""), column in shares) for column in columns) + "</tr>"
        for row in rows[:MOST]
    )
    shown = wording.counted(len(rows), "row") if len(rows) <= MOST else f"the first {MOST:,} of {len(rows):,} rows"
    return (
        f'<details class="card"><summary>{escape(title)} <span>{shown}</span></summary><div class="scroll">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></details>"
    )


def _side(figure: bool) -> str:
    return ' class="n"' if figure else ""


def _is_share(values: Sequence[str | int | float]) -> bool:
    return all(isinstance(value, int | float) and 0 <= value <= 1 for value in values) and any(
        isinstance(value, float) for value in values
    )


def _cell(value: str | float, share: bool) -> str:
    if isinstance(value, str):
        return f"<td>{escape(value)}</td>"
    if not share:
        return (
            f'<td class="n">{value:,}</td>'
            if isinstance(value, int)
            else f'<td class="n">{wording.decimal(value)}</td>'
        )
    bar = f'<span class="share" style="width:{60 * value:.0f}px"></span>'
    return f'<td class="n">{bar}{100 * value:.0f} %</td>'


def pairs_table(title: str, pairs: Sequence[tuple[str, str]]) -> str:
    """Return names and values, folded."""
    body = "".join(f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>' for name, value in pairs)
    body = f'<div class="scroll"><table>{body}</table></div>'
    return f'<details class="card"><summary>{escape(title)}</summary>{body}</details>'

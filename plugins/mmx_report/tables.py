"""Tables of a report: every number of an evaluator, and the rows an evaluator adds, such as one for each class."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from mmx import wording
from mmx.parts.evaluator import Cell, Number, Table
from mmx_report.data import Evaluation

MOST: Final = 5_000
"""Rows of a table that are shown."""


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


def rows_table(title: str, table: Table) -> str:
    """Return an evaluator's table, folded; columns with fractions get a small bar."""
    shown = [row for row in table.rows[:MOST] if len(row) == len(table.columns)]
    columns = list(zip(*shown, strict=True)) or [()] * len(table.columns)
    shares = [_is_share(column) for column in columns]
    head = "".join(
        f'<th scope="col"{_side(all(map(_is_figure, column)))}>{escape(name)}</th>'
        for name, column in zip(table.columns, columns, strict=True)
    )
    body = "".join("<tr>" + "".join(map(_cell, row, shares)) + "</tr>" for row in shown)
    count = len(table.rows)
    said = wording.counted(count, "row") if count <= MOST else f"the first {MOST:,} of {count:,} rows"
    about = f"<p>{escape(table.caption)}</p>" if table.caption else ""
    return (
        f'<details class="card"><summary>{escape(title)} <span>{said}</span></summary>{about}<div class="scroll">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></details>"
    )


def _side(figure: bool) -> str:
    return ' class="n"' if figure else ""


def _is_figure(value: Cell) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _is_share(values: Sequence[Cell]) -> bool:
    known = [value for value in values if isinstance(value, int | float) and 0 <= value <= 1]
    return len(known) == sum(value is not None for value in values) and any(isinstance(value, float) for value in known)


def _cell(value: Cell, share: bool) -> str:
    if value is None or isinstance(value, str | bool):
        return f"<td>{'' if value is None else escape(str(value))}</td>"
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

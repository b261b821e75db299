"""Puts the report together: one file, nothing fetched, no script."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import asdict
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Final

from mmx.wording import short
from mmx_report.charts import draw
from mmx_report.curves import evaluation_charts, last_numbers, training_charts
from mmx_report.data import Story, read_story
from mmx_report.head import facts, flatten, hero, status
from mmx_report.pictures import picture_grid
from mmx_report.tables import numbers_table, pairs_table, rows_table

POLICY: Final = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def write_report(folder: Path) -> Path:
    """Write ``report.html`` into a run folder, from what lies in that folder alone.

    Args:
        folder: the run folder; what is missing in it is named in the report.

    Returns:
        The file.
    """
    path, part = folder / "report.html", folder / "report.html.part"
    part.write_text(page(read_story(folder)), encoding="utf-8")
    os.replace(part, path)
    return path


def page(story: Story) -> str:
    """Return the report as HTML."""
    style = (files("mmx_report") / "style.css").read_text(encoding="utf-8")
    title = escape(f"{story.folder.name}: mmx run report")
    body = "".join(_sections(story))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{style}</style></head><body><main>{body}</main></body></html>\n"
    )


def _sections(story: Story) -> Iterator[str]:
    yield status(story)
    yield hero(story)
    yield _missing(story)
    yield facts(story)
    yield _charts(story)
    yield _numbers(story)
    yield from _pictures(story)
    yield _details(story)
    yield _commands(story)
    yield "<footer>Made by mmx from the files of this run folder. It fetches nothing and runs no script.</footer>"


def _missing(story: Story) -> str:
    if not story.missing:
        return ""
    items = "".join(f"<li>{escape(item)}</li>" for item in story.missing)
    return f'<div class="card missing"><b>Not in this report</b><ul>{items}</ul></div>'


def _charts(story: Story) -> str:
    loss, *others = training_charts(story)
    drawn = "".join(draw(chart) for chart in (loss, *evaluation_charts(story), *others))
    return f'<section><h2>Curves</h2><p>Point at a chart for its values.</p><div class="charts">{drawn}</div></section>'


def _numbers(story: Story) -> str:
    tables = "".join(numbers_table(found) for found in last_numbers(story).values())
    return (
        f"<section><h2>Numbers</h2><p>Fractions in percent; chance is what guessing gives.</p>{tables}</section>"
        if tables
        else ""
    )


def _pictures(story: Story) -> Iterator[str]:
    for _, result in story.results.values():
        yield from (picture_grid(name, pictures) for name, pictures in result.pictures.items() if pictures)


def _details(story: Story) -> str:
    folded = [
        rows_table(f"{name}: {title}".replace("_", " "), table)
        for name, (_, result) in story.results.items()
        for title, table in result.tables.items()
        if table.rows
    ]
    folded += [
        pairs_table(f"{name}: what was measured".replace("_", " "), flatten(asdict(result.record)))
        for name, (_, result) in story.results.items()
        if result.record is not None
    ]
    if story.recipe_text:
        recipe = f'<div class="scroll"><pre>{_toml(story.recipe_text)}</pre></div>'
        folded.append(f'<details class="card"><summary>Recipe <span>resolved.toml</span></summary>{recipe}</details>')
    if story.environment:
        folded.append(pairs_table("Environment", flatten(story.environment)))
    return f"<section><h2>Details</h2>{''.join(folded)}</section>" if folded else ""


def _toml(text: str) -> str:
    lines = escape(text, quote=False)
    lines = re.sub(r"(?m)^(\[.*\])$", r"<b>\1</b>", lines)
    return re.sub(r"(?m)^([\w.\-]+ =)", r"<i>\1</i>", lines)


def _commands(story: Story) -> str:
    folder = shlex.quote(short(story.folder))
    names = sorted(path.name for path in (story.folder / "plugins").glob("*.py"))
    files = "".join(f" --plugin {folder}/plugins/{shlex.quote(name)}" for name in names)
    pairs = [("train again", f"mmx run {folder}/resolved.toml{files}")]
    if story.end.get("status") != "finished":
        pairs.insert(0, ("go on", f"mmx run --resume {folder}{files}"))
    if story.recipe.get("evaluators"):
        pairs.insert(0, ("evaluate", f"mmx eval {folder}{files}"))
    said = "".join(f"<pre><i># {name}</i>\n{escape(command)}</pre>" for name, command in pairs)
    where = "<p>From the folder the run was started in.</p>"
    return f'<section><h2>Go on</h2>{where}<div class="card commands">{said}</div></section>'

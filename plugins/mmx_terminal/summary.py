"""What is said when a run ends: its numbers, where everything lies, and what to try next."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, cast

from rich.box import ROUNDED
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from mmx import wording
from mmx.parts.evaluator import Number, Result
from mmx.parts.events import Outcome, Run

MOST: Final = 8
"""Numbers shown of one evaluator; the report has them all."""


def result_line(step: int, name: str, result: Result) -> str:
    """Return one line for an evaluation on the way: the headline with all that is needed to judge it."""
    number = result.numbers[result.headline]
    facts = [f"95 % {wording.interval(number)}" if number.low is not None else ""]
    facts += [f"chance {wording.chance(number)}" if number.chance is not None else ""]
    judged = ", ".join(fact for fact in facts if fact)
    line = f"step {step} {name}: {result.headline} {wording.value(number)}"
    return wording.printable(f"{line} ({judged})" if judged else line)


def numbers_table(results: Mapping[str, Result]) -> Table:
    """Return every evaluator's numbers, the headline first, with interval and chance beside each."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("", "", "95 % interval", "chance", "samples"):
        table.add_column(title, justify="right" if table.columns else "left", header_style="dim", no_wrap=bool(title))
    table.columns[0].overflow = "fold"
    for name, result in results.items():
        table.add_row(Text(wording.printable(name), style="bold"))
        names = wording.headline_first(result.headline, result.numbers)
        for title in names[:MOST]:
            _add(table, title, result.numbers[title], title == result.headline)
        more = [f"{len(names) - MOST} more numbers"] if len(names) > MOST else []
        beside = ", ".join([*more, *_beside(result)])
        if beside:
            table.add_row(Text(f"  in evaluations/: {beside}", style="dim"))
    return table


def _beside(result: Result) -> list[str]:
    """Name what an evaluator found beside numbers, with its size."""
    tables = [f"{name} ({wording.counted(len(one.rows), 'row')})" for name, one in result.tables.items() if one.rows]
    pictures = [f"{name} ({wording.counted(len(grid), 'picture')})" for name, grid in result.pictures.items() if grid]
    outcomes = [] if result.outcomes is None else [f"outcomes ({wording.counted(len(result.outcomes.rows), 'row')})"]
    return [wording.printable(text) for text in (*tables, *pictures, *outcomes)]


def _add(table: Table, title: str, number: Number, headline: bool) -> None:
    style = "bold green" if headline else ""
    table.add_row(
        Text(f"  {wording.printable(title)}", style=style),
        Text(wording.value(number), style=style),
        wording.interval(number),
        wording.chance(number),
        "" if number.count is None else f"{number.count:,}",
    )


def next_commands(run: Run, finished: bool, report: bool) -> list[str]:
    """Return up to three commands worth trying after a run, as they can be typed."""
    folder = wording.short(run.folder)
    commands = [_open(f"{folder}/report.html")] if report else []
    files = [word for name in run.plugin_files for word in ("--plugin", f"{folder}/plugins/{name}")]
    if finished:
        evaluate = (
            ["mmx", "eval", folder, *files]
            if run.recipe.get("evaluators")
            else ["mmx", "recipe", "schema", "evaluators"]
        )
        commands.append(shlex.join(evaluate))
        sibling = _sibling(run.argv)
        longer = [f"{folder}/resolved.toml", *files, "--set", _twice(run)]
        commands.append(shlex.join(["mmx", "run", *([sibling] if sibling else longer)]))
    return commands


def _twice(run: Run) -> str:
    """Return the setting that trains twice as long, in the unit that the recipe uses."""
    train = run.recipe.get("train")
    epochs = cast(Mapping[str, object], train).get("epochs") if isinstance(train, Mapping) else None
    return f"train.epochs={2 * epochs:g}" if isinstance(epochs, int | float) else f"train.steps={2 * run.steps}"


def _sibling(argv: Sequence[str]) -> str:
    """Return the recipe that comes next after the quickstart, empty after any other."""
    given = next((Path(word) for word in argv if Path(word).stem == "quickstart"), None)
    if given is None:
        return ""
    following = given.with_name(f"quickstart_vit{given.suffix}")
    return str(following) if not given.suffix or following.exists() else ""


def _open(path: str) -> str:
    opener = {"darwin": "open", "win32": "start"}.get(sys.platform, "xdg-open")
    return shlex.join([opener, path])


def write_summary(console: Console, run: Run, outcome: Outcome, results: Mapping[str, Result]) -> None:
    """Write the end of a run: a panel on a terminal, the same as plain lines elsewhere."""
    said = f"{outcome.status} at step {outcome.step:,} of {run.steps:,} after {wording.duration(outcome.seconds)}"
    if results and console.is_interactive:
        console.print(Panel(numbers_table(results), title=Text(said), title_align="left", box=ROUNDED, expand=False))
    else:
        console.print(Text(said, style="bold"), soft_wrap=True)
        if results:
            console.print(numbers_table(results))
    report = (run.folder / "report.html").exists()
    _fact(console, "run folder", wording.short(run.folder))
    if report:
        _fact(console, "report", wording.short(run.folder / "report.html"))
    if outcome.status == "stopped":
        _fact(console, "stopped", wording.printable(outcome.reason))
        _fact(console, "saved", f"at step {outcome.step:,}")
    if outcome.resume:
        _fact(console, "go on with", outcome.resume)
    _commands(console, next_commands(run, outcome.status == "finished", report))


def write_failure(console: Console, run: Run, outcome: Outcome) -> None:
    """Say where a run failed and how to go on. The error itself is the command line's to print, after this."""
    console.print(Text(f"failed at step {outcome.step:,} of {run.steps:,}", style="bold red"), soft_wrap=True)
    _fact(console, "run folder", wording.short(run.folder))
    if outcome.resume:
        _fact(console, "go on with", outcome.resume)


def _fact(console: Console, name: str, text: str) -> None:
    console.print(Text(f"{name:<11} ", style="dim") + Text(text), soft_wrap=True)


def _commands(console: Console, commands: list[str]) -> None:
    if commands:
        console.print(Text("next:", style="dim"))
    for command in commands:
        console.print(Text("  ") + Text(command, style="cyan"), soft_wrap=True)

"""``mmx verify``: a recipe comes to the same on one process and under every layout of an engine."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, final

import typer

from mmx.cli.guard import guarded, printable
from mmx.cli.output import print_json
from mmx.cli.words import Json, PluginFiles, RecipeName, Sets, Unset

if TYPE_CHECKING:
    from mmx.recipe.schema import Recipe
    from mmx_verify.plan import Trial
    from mmx_verify.run import Reference, Row


@guarded
def verify(
    recipe: RecipeName,
    layouts: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME,NAME", help="Layouts to compare; all of them if not given. Repeatable."),
    ] = None,
    sets: Sets = None,
    unset: Unset = None,
    plugin: PluginFiles = None,
    list_: Annotated[bool, typer.Option("--list", help="Print the layouts there are, and run nothing.")] = False,
    json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print what is wrong only.")] = False,
) -> int:
    """Compare losses, gradients and weights of many processes with those of one, on this machine's CPUs.

    Takes a few steps of the recipe's tiny form on one process, and under each layout of the recipe's engine (or of an
    installed one that has some). The exit code is 1 if one of them differs or fails.

    Examples:
        mmx verify clip_b16
        mmx verify quickstart --list
        mmx verify my.toml --layouts dp2,tp2 --set seed=1
        mmx verify my.toml --plugin my_loss.py --json
    """
    from mmx.plugin.manager import Plugins
    from mmx.recipe.load import load
    from mmx_verify.plan import chosen, refuse_missing, trials

    registries = Plugins(files=plugin or ()).registries
    found = load(recipe, sets or (), unset or (), registries)
    known = trials(found, registries)
    wanted = chosen(known, _names(layouts))
    if list_:
        _list(wanted, json)
        return 0
    refuse_missing(wanted)
    # Imports torch, which takes seconds: whatever is wrong with the command was said above.
    from mmx_verify.run import refused_at_size, verify
    from mmx_verify.tiny import tiny

    small = tiny(found, registries)
    results: list[Reference | Row] = []
    screen = None if json or quiet else _Screen(small)

    def hear(result: Reference | Row) -> None:
        results.append(result)
        if screen is not None:
            screen.show(result)

    rows = verify(small, registries, wanted, plugin or (), hear)
    refused = refused_at_size(found, registries, wanted)
    if json:
        print_json({**_document(small, results), "refused_at_size": refused})
    elif screen is not None:
        screen.sum(rows, refused)
    bad = [row for row in rows if not row.good]
    _complain(bad, quiet)
    return 1 if bad else 0


def _names(given: Sequence[str] | None) -> list[str]:
    from mmx.errors import RecipeError

    names = [name.strip() for text in given or () for name in text.split(",") if name.strip()]
    if given and not names:
        raise RecipeError("--layouts names none; for example: --layouts dp2,tp2\nhelp: mmx verify RECIPE --list")
    return names


def _list(known: Sequence[Trial], json: bool) -> None:
    from mmx_verify.table import listing, plain_trial

    if json:
        print_json({"layouts": [plain_trial(trial) for trial in known]})
    else:
        print(printable(listing(known)))


@final
class _Screen:
    """Prints each result as it comes: what is run and what one process comes to, then a table."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._said: set[str] = set()
        self._told: dict[str, str] = {}

    def show(self, result: Reference | Row) -> None:
        """Print one result."""
        from mmx_verify import table
        from mmx_verify.compare import BOUNDS
        from mmx_verify.run import Reference

        if isinstance(result, Reference):
            self._once(table.what(self._recipe, result.outcome.parameters))
            self._say(table.losses(result))
        else:
            precision = result.trial.precision
            self._once(f"\n{table.heading()}")
            self._once(table.bound(precision, BOUNDS[precision]))
            self._say(table.lines(result, self._told))

    def sum(self, rows: Sequence[Row], refused: Mapping[str, str]) -> None:
        """Print the last lines."""
        from mmx_verify.table import at_size, summary

        self._say(f"\n{summary(rows)}")
        if at_size(refused, rows):
            self._say(f"\n{at_size(refused, rows)}")

    def _once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._say(text)

    def _say(self, text: str) -> None:
        print(printable(text), flush=True)


def _complain(bad: Sequence[Row], quiet: bool) -> None:
    """Print to stderr what is wrong where nothing else is printed, and whole tracebacks where they are asked for."""
    from mmx_verify.table import lines

    for row in bad:
        if quiet:
            print(printable(lines(row)), file=sys.stderr)
        if os.environ.get("MMX_DEBUG") and row.traceback:
            print(printable(row.traceback), file=sys.stderr)


def _document(recipe: Recipe, results: Sequence[Reference | Row]) -> dict[str, Any]:
    from mmx_verify.run import Row
    from mmx_verify.table import plain_reference, plain_row

    rows = [result for result in results if isinstance(result, Row)]
    references = [result for result in results if not isinstance(result, Row)]
    return {
        "ok": all(row.good for row in rows),
        "recipe": recipe.name,
        "batch": recipe.data.batch,
        "steps": recipe.train.steps,
        "parameters": references[0].outcome.parameters,
        "seed": recipe.seed,
        "optim": recipe.resolved()["optim"],
        "references": {reference.precision: plain_reference(reference) for reference in references},
        "layouts": [plain_row(row) for row in rows],
    }

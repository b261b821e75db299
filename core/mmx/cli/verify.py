"""``mmx verify``: a recipe comes to the same on one process and under every layout of an engine."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmx.cli.guard import guarded, printable
from mmx.cli.output import print_json
from mmx.cli.words import Json, PluginFiles, RecipeName, Sets, Unset, examples

if TYPE_CHECKING:
    from mmx.recipe.schema import Recipe
    from mmx.verify.plan import Trial
    from mmx.verify.run import Reference, Row

EXAMPLES = examples(
    "mmx verify clip_b16",
    "mmx verify quickstart --list",
    "mmx verify my.toml --layouts dp2,tp2 --set seed=1",
    "mmx verify my.toml --plugin my_loss.py --json",
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("verify", epilog=EXAMPLES)(verify)


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
    """
    from mmx.plugins import Plugins
    from mmx.recipe.load import load
    from mmx.verify.plan import chosen, refuse_missing, trials

    registries = Plugins(files=plugin or ()).registries
    found = load(recipe, sets or (), unset or (), registries)
    known = trials(found, registries)
    wanted = chosen(known, _names(layouts))
    if list_:
        _list(wanted, json)
        return 0
    refuse_missing(wanted)
    # Imports torch, which takes seconds: whatever is wrong with the command was said above.
    from mmx.verify.run import verify
    from mmx.verify.tiny import tiny

    small = tiny(found, registries)
    results: list[Reference | Row] = []
    show = (lambda one: None) if json else _shown(small, len({trial.precision for trial in wanted}), quiet)

    def hear(result: Reference | Row) -> None:
        results.append(result)
        show(result)

    rows = verify(small, registries, wanted, plugin or (), hear)
    bad = [row for row in rows if not row.good]
    if json:
        print_json(_document(small, results))
    elif not quiet:
        from mmx.verify.table import summary

        print(f"\n{summary(rows)}")
    if os.environ.get("MMX_DEBUG"):
        for row in bad:
            print(printable(row.traceback), file=sys.stderr)
    return 1 if bad else 0


def _names(given: Sequence[str] | None) -> list[str]:
    from mmx.errors import RecipeError

    names = [name.strip() for text in given or () for name in text.split(",") if name.strip()]
    if given and not names:
        raise RecipeError("--layouts names none; for example: --layouts dp2,tp2\nhelp: mmx verify RECIPE --list")
    return names


def _list(known: Sequence[Trial], json: bool) -> None:
    from mmx.verify.table import listing, plain_trial

    if json:
        print_json({"layouts": [plain_trial(trial) for trial in known]})
    else:
        print(printable(listing(known)))


def _shown(recipe: Recipe, references: int, quiet: bool) -> Callable[[Reference | Row], None]:
    """Return what prints each result as it comes: references, then the table's heading, then rows."""
    from mmx.verify import table
    from mmx.verify.compare import BOUNDS
    from mmx.verify.run import Row

    heard: list[Reference] = []
    sections: set[str] = set()

    def show(result: Reference | Row) -> None:
        if isinstance(result, Row):
            if quiet and result.good:
                return
            if result.trial.precision not in sections:
                sections.add(result.trial.precision)
                say(table.bound(result.trial.precision, BOUNDS[result.trial.precision]))
            say(table.lines(result))
        else:
            heard.append(result)
            if len(heard) == 1:
                say(table.what(recipe, result.outcome.parameters))
            say(table.losses(result))
            if len(heard) == references:
                say("")
                say(table.heading())

    def say(text: str) -> None:
        print(printable(text), flush=True)

    return show


def _document(recipe: Recipe, results: Sequence[Reference | Row]) -> dict[str, Any]:
    from mmx.verify.run import Row
    from mmx.verify.table import plain_reference, plain_row

    rows = [result for result in results if isinstance(result, Row)]
    references = [result for result in results if not isinstance(result, Row)]
    return {
        "ok": all(row.good for row in rows),
        "recipe": recipe.name,
        "batch": recipe.data.batch,
        "steps": recipe.train.steps,
        "parameters": references[0].outcome.parameters,
        "seed": recipe.seed,
        "eps": recipe.optim.eps,
        "references": {reference.precision: plain_reference(reference) for reference in references},
        "layouts": [plain_row(row) for row in rows],
    }

"""``mmx run`` and ``mmx eval``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmx.cli.guard import guarded
from mmx.cli.output import print_json
from mmx.cli.words import EXIT_CODES, Json, PluginFiles, Quiet, Sets, TraceCalls, Unset, examples

if TYPE_CHECKING:
    from mmx.plugin.manager import Plugins
    from mmx.runs.request import EvalRequest, RunResult

RUN_EXAMPLES = examples(
    "mmx run recipes/quickstart.toml",
    "mmx run quickstart --dry-run",
    "mmx run quickstart --set train.steps=50 --set optim.lr=1e-3",
    "mmx run --resume runs/NAME",
    "mmx run my.toml --resume auto --name first",
    "mmx run my.toml --plugin my_loss.py",
)
EVAL_EXAMPLES = examples(
    "mmx eval runs/NAME",
    "mmx eval runs/NAME --json",
    "mmx eval models/clip --recipe my.toml --out results/clip",
    "mmx eval open_clip:models/clip --recipe my.toml",
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("run", epilog=RUN_EXAMPLES + EXIT_CODES)(run)
    app.command("eval", epilog=EVAL_EXAMPLES)(evaluate)


@guarded
def run(
    recipe: Annotated[
        str | None, typer.Argument(metavar="RECIPE", help="A .toml file, or the name of a recipe of mmx.")
    ] = None,
    sets: Sets = None,
    unset: Unset = None,
    resume: Annotated[
        str | None,
        typer.Option(metavar="RUN|auto", help="Go on with a run: its folder, or auto for the newest of this recipe."),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where run folders are made.")] = Path("runs"),
    name: Annotated[
        str | None, typer.Option(help="Name of the run folder; made from recipe and time if not given.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what the run would need, and train nothing.")] = False,
    plugin: PluginFiles = None,
    trace: TraceCalls = False,
    json: Json = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print errors only; a dry run still prints what it found.")
    ] = False,
) -> int:
    """Train a model from a recipe, or go on with a run."""
    from mmx.launch.rank import find
    from mmx.runs.folder import checked_name
    from mmx.runs.request import RunRequest
    from mmx.train.prepare import prepare

    main = find(os.environ).rank == 0
    say = _voice(json, quiet or not main)
    request = RunRequest(
        recipe=None if recipe is None else Path(recipe),
        overrides=tuple(sets or ()),
        unset=tuple(unset or ()),
        resume=resume,
        out=out,
        name=name,
        dry_run=dry_run,
        plugins=tuple(plugin or ()),
        trace=trace,
        json=json,
        quiet=quiet,
        argv=("mmx", *sys.argv[1:]),
    )
    if name is not None:
        checked_name(name)
    if recipe is not None:
        _say_bundled(recipe, say)
    elif resume is None:
        _refuse_nothing()
    prepared = prepare(request, say)
    # Imports torch, which takes seconds: whatever is wrong with the recipe was said above.
    from mmx.train.start import start

    result = start(prepared, say)
    if json and main:
        print_json(result.summary)
    return result.exit_code


@guarded
def evaluate(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="A run's folder, a model's, or FORMAT:FOLDER; mmx plugins lists formats."),
    ],
    sets: Sets = None,
    unset: Unset = None,
    recipe: Annotated[
        Path | None,
        typer.Option(
            metavar="RECIPE", help="Whose evaluators measure a model that is no run, and what its folder lacks."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where the results of a model that is no run are kept.")
    ] = None,
    plugin: PluginFiles = None,
    trace: TraceCalls = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Evaluate a model: that of a run with the evaluators of its recipe, any other with those that are given."""
    from mmx.plugin.manager import Plugins
    from mmx.runs.layout import RunFolder
    from mmx.runs.request import EvalRequest
    from mmx.train.prepare import tracer

    say = _voice(json, quiet)
    files = tuple(plugin or ())
    request = EvalRequest(Path(model), tuple(sets or ()), tuple(unset or ()), files, trace, json, quiet)
    if RunFolder(request.run).is_run():
        result = _evaluate_run(request, recipe, out, say)
    else:
        result = _evaluate_model(model, request, Plugins(files=files, say=say, trace=tracer(trace)), recipe, out, say)
    if json:
        print_json(result.summary)
    return result.exit_code


def _evaluate_run(request: EvalRequest, recipe: Path | None, out: Path | None, say: Callable[[str], None]) -> RunResult:
    from mmx.errors import RecipeError
    from mmx.plugin.manager import Plugins
    from mmx.recipe.load import load
    from mmx.runs.folder import open_run
    from mmx.runs.layout import FILES
    from mmx.runs.plugin_files import refuse_others
    from mmx.train.prepare import tracer

    if recipe is not None or out is not None:
        option = "--recipe" if recipe is not None else "--out"
        raise RecipeError(
            f"{option} is for models that are no run: a run is measured as its recipe says, changed by --set, and keeps the "
            f"results itself; to measure its model alone: mmx eval {request.run / 'model'} ..."
        )
    opened = open_run(request.run)
    refuse_others(opened, request.plugins, f"mmx eval {request.run}", more=True)
    plugins = Plugins(files=request.plugins, say=say, trace=tracer(request.trace))
    found = load(opened.resolved, request.overrides, request.unset, plugins.registries)
    found.tokenizer.use_copies(opened.path / FILES)
    from mmx.train import api

    return api.evaluate_run(request, plugins, found, say)


def _evaluate_model(
    model: str,
    request: EvalRequest,
    plugins: Plugins,
    recipe: Path | None,
    out: Path | None,
    say: Callable[[str], None],
) -> RunResult:
    from mmx.evaluate.tables import evaluation
    from mmx.models.find import find_model

    found = find_model(model, plugins.registries)
    asked = evaluation(model, recipe, request.overrides, request.unset, plugins.registries)
    # Imports torch, which takes seconds: whatever can be told without it was said above.
    from mmx.evaluate.alone import evaluate_model

    return evaluate_model(found, asked, plugins, say, out)


def _voice(json: bool, quiet: bool) -> Callable[[str], None]:
    """Return where a command says what it does: stdout belongs to the document when one is asked for."""
    if quiet:
        return lambda text: None
    return lambda text: print(text, file=sys.stderr if json else sys.stdout)


def _refuse_nothing() -> None:
    """Say which recipes there are, to who gave none."""
    import textwrap

    from mmx.errors import RecipeError
    from mmx.recipe.bundled import bundled, summary

    known = {name: summary(path) for name, path in bundled().items()}
    rows = [textwrap.fill(f"  {name}: {said}", 80, subsequent_indent="      ") for name, said in known.items()]
    listed = ["recipes of mmx:", *rows] if rows else []
    commands = [
        "  mmx run quickstart            train from a recipe: one of mmx, or a .toml file",
        "  mmx run --resume runs/NAME    go on with a run",
    ]
    raise RecipeError("\n".join(["which recipe? None was given", *listed, *commands, "help: mmx run --help"]))


def _say_bundled(recipe: str, say: Callable[[str], None]) -> None:
    from mmx.recipe.bundled import find_recipe

    found = find_recipe(recipe)
    if found.bundled:
        say(f"recipe '{found.path.stem}' of mmx: {found.path}")

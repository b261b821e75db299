"""The command ``mmx``."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Annotated

import typer

from mmx.cli import plugins, recipe, run
from mmx.cli.door import Door
from mmx.cli.guard import whose
from mmx.cli.words import EXIT_CODES, examples
from mmx.launch.leaving import leaving
from mmx.launch.threads import settle

app = typer.Typer(
    name="mmx",
    cls=Door,
    help="Train, evaluate and inspect vision-language models.",
    epilog=examples(
        "mmx run recipes/quickstart.toml",
        "mmx run quickstart --set train.steps=50 --set optim.lr=1e-3",
        "mmx run --resume runs/NAME",
        "mmx eval runs/NAME",
        "mmx recipe list",
        "mmx verify quickstart_vit",
        "mmx data inspect photos",
        "mmx plugins",
        "mmx doctor",
    )
    + EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
run.register(app)
recipe.register(app)
plugins.register(app)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"mmx {version('mmx')}")
        except PackageNotFoundError:
            print("mmx (run from its sources, not installed)")
        raise typer.Exit


@app.callback()
def start(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Train, evaluate and inspect vision-language models."""


def main() -> None:
    """Run the command line; the process ends with the command's exit code."""
    settle()
    with leaving() if whose().size > 1 else nullcontext():
        app(prog_name="mmx")

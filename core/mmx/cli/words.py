"""What help pages share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

EXIT_CODES: Final = """

\b
Exit codes:
  0    done
  1    unexpected error
  2    the recipe or the command is wrong
  3    a plugin is broken
  4    the data is missing or bad
  5    a checkpoint or run folder cannot be used
  6    training cannot go on (the loss is not finite)
  75   stopped by a time limit or SIGUSR1; mmx run --resume goes on
  130  stopped by Ctrl-C; mmx run --resume goes on
  143  stopped by SIGTERM; mmx run --resume goes on
"""


def examples(*commands: str) -> str:
    """Return the end of a help page; the mark keeps its lines as they are."""
    lines = "\n".join(f"  {command}" for command in commands)
    return f"\b\nExamples:\n{lines}"


Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Set a value of the recipe, such as optim.lr=5e-4. Repeatable."),
]
Unset = Annotated[
    list[str] | None,
    typer.Option("--unset", metavar="KEY", help="Take a key out of the recipe. Repeatable."),
]
PluginFiles = Annotated[
    list[Path] | None,
    typer.Option("--plugin", metavar="FILE", help="A plugin that is one Python file, such as my_loss.py. Repeatable."),
]
TraceCalls = Annotated[bool, typer.Option("--trace", help="Show every hook call of every plugin on stderr.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, also of an error.")]
"""The option of a command that prints one document for programs: ``json: Json = False``."""
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]
RecipeName = Annotated[str, typer.Argument(metavar="RECIPE", help="A .toml file, or the name of a recipe of mmx.")]

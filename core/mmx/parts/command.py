"""The contract of commands: what ``mmx NAME`` runs."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Command(Protocol):
    """A command of the command line: a function, or a ``typer.Typer`` with several commands below its name.

    A package names it in its metadata, ``"command.hello" = "mmx_hello.cli:hello"``, or below another command,
    ``"command.plugins.hello"``; no ``register`` is needed. Nothing of it is imported until it is called: the line of
    ``mmx --help`` is read from its source, where it is the first paragraph of the function's docstring, or the ``help=`` of
    the Typer. So its module imports what is heavy where it is used.

    The function's parameters are read by typer, as in any typer application. After a line ``Examples:`` in its docstring
    come calls, one a line. It returns nothing or its exit code; errors of :mod:`mmx.errors` are printed with their exit
    code, as a JSON document where ``--json`` is given. With an option of that name it prints one JSON document.
    """

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Run with what was read from the command line."""
        ...

"""Commands, and kinds of a plugin's own: what ``mmx --help`` reads of them is there, and they are reached."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, Final

from mmx.plugin.kinds import locate
from mmx_kit.case import Case
from mmx_kit.check import BrokenError, Check
from mmx_kit.imports import probed

_COMMAND: Final = ("command",)
_KIND: Final = ("kind",)


def _line(case: Case) -> None:
    if not case.entry.summary:
        raise BrokenError(
            f"mmx --help has no line for it: write a docstring below `def {case.entry.part.partition(':')[2]}` in that very "
            "module, or help= in the call of typer.Typer that makes it"
        )


def _reached(case: Case) -> None:
    from typer.testing import CliRunner

    from mmx.cli.main import app

    words = case.entry.name.split(".")
    done = CliRunner().invoke(app, [*words, "--help"])
    if done.exit_code:
        raise BrokenError(f"mmx {' '.join(words)} --help ends with {done.exit_code}: {done.stderr.strip()}")


def _light(case: Case) -> None:
    module = case.entry.part.partition(":")[0]
    told = probed(module, (module,), case.files)["entry"]
    if told["error"]:
        raise BrokenError(f"importing {module} fails in a fresh process: {told['error']}")
    if told["work"]:
        raise BrokenError(
            f"importing {module} does work: {'; '.join(told['work'][:3])}; do that when the command is called"
        )
    if told["torch"]:
        raise BrokenError(
            f"importing {module} imports torch, so that its help takes seconds; import it where it is used"
        )


def _helped(case: Case) -> None:
    from mmx.cli.door import command_of

    made = command_of(locate(case.entry.part, case.entry.describe()), case.entry.name, case.entry.describe())
    for words, parameter in _parameters(made, f"mmx {case.entry.name.replace('.', ' ')}"):
        if not getattr(parameter, "help", None):
            raise BrokenError(f"{words} has no help for {parameter.name}: give help= to its Option or Argument")


def _parameters(command: Any, words: str) -> Iterator[tuple[str, Any]]:
    yield from ((words, parameter) for parameter in command.params)
    for name, below in getattr(command, "commands", {}).items():
        yield from _parameters(below, f"{words} {name}")


def _contract(case: Case) -> None:
    row = case.registries.row(case.entry.name)
    contract = locate(row.contract, case.entry.describe())
    if not (inspect.isabstract(contract) or getattr(contract, "_is_protocol", False)):
        raise BrokenError(f"{row.contract} is no abstract class: mark what parts of the kind must write as abstract")
    if row.checks:
        locate(row.checks, case.entry.describe())


def _about(case: Case) -> None:
    row = case.registries.row(case.entry.name)
    if not row.about.strip() or "\n" in row.about:
        raise BrokenError(f"its `about` is one line for listings, not {row.about!r}")


COMMAND_CHECKS: Final = (
    Check("line", "its line of mmx --help can be read from its source", _COMMAND, _line),
    Check("reached", "mmx NAME --help shows its help", _COMMAND, _reached),
    Check("light command", "importing it does nothing, and needs no torch", _COMMAND, _light),
    Check("option help", "each of its options and arguments has a help text", _COMMAND, _helped),
    Check("kind", "its contract is abstract, and its checks are there", _KIND, _contract),
    Check("about", "listings have one line on it", _KIND, _about),
)

"""A group of commands that plugins add to: their lines come from metadata and source, and they are imported when called."""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, final

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group_from_info
from typer.models import TyperInfo
from typing_extensions import override

from mmx.cli.guard import outcome
from mmx.cli.words import examples

if TYPE_CHECKING:
    from mmx.plugin.entries import PluginEntry

_FOUND: Final = "mmx.plugin.commands"
_JSON: Final = "mmx.json"


@final
class Door(TyperGroup):
    """The commands of mmx, or those below one of them, and those that plugins list for it.

    The outermost one turns whatever a command returns or raises into an exit code and a message.
    """

    @override
    def list_commands(self, ctx: Any) -> list[str]:
        return [*self.commands, *(name for name in _below(ctx) if name not in self.commands)]

    @override
    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        own = self.commands.get(cmd_name)
        if own is not None:
            return own
        entries = _below(ctx).get(cmd_name)
        return None if entries is None else Listed(cmd_name, entries)

    @override
    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        known = self.commands
        if args and args[0] in known:
            return super().resolve_command(ctx, args)
        # Typer looks among its own commands for what may have been meant.
        try:
            self.commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
            return super().resolve_command(ctx, args)
        finally:
            self.commands = known

    @override
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta.setdefault(_JSON, "--json" in args)
        return super().parse_args(ctx, args)

    @override
    def invoke(self, ctx: Any) -> Any:
        if ctx.parent is not None:
            return super().invoke(ctx)
        run = super().invoke

        def code() -> int | None:
            value = run(ctx)
            return value if isinstance(value, int) else None

        sys.exit(outcome(code, ctx.meta[_JSON]))


@final
class Listed(TyperCommand):
    """A command that is not imported: its line is read from its source; what it takes is known once it is called."""

    def __init__(self, name: str, entries: Sequence[PluginEntry]) -> None:
        from mmx.plugin.commands import summary

        self._entries = entries
        usable = len(entries) == 1 and entries[0].usable
        line = summary(entries[0].module) if usable else "(it cannot be used: mmx plugins)"
        super().__init__(name, help=line, rich_markup_mode=None)

    @override
    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        return self.load().make_context(info_name, args, parent=parent, **extra)

    def load(self) -> Any:
        """Import the command.

        Raises:
            PluginError: it cannot be imported, it is none, or two plugins have the name.
        """
        from mmx.errors import PluginError
        from mmx.plugin.kinds import KINDS, locate

        owners = " and ".join(entry.owner for entry in self._entries)
        if len(self._entries) > 1:
            raise PluginError(f"two plugins have the command '{self.name}': {owners}; uninstall one of them")
        entry = self._entries[0]
        what = f"command '{self.name}' of {owners}"
        if not entry.usable:
            raise PluginError(f"{what} cannot be used: {entry.reason}")
        # What it prints when it is imported must not end up in the middle of --json.
        with contextlib.redirect_stdout(sys.stderr):
            found = locate(entry.module, what)
        if not KINDS["command"].accepts(found):
            raise PluginError(f"{what}: {entry.module} is no function and no typer.Typer")
        return command_of(found, str(self.name), what)


def command_of(found: Any, name: str, what: str) -> Any:
    """Return what typer makes of a function or a Typer.

    Raises:
        PluginError: typer cannot read it; ``what`` begins the message.
    """
    from mmx.errors import PluginError

    try:
        made = _made(found, name)
    except Exception as error:
        raise PluginError(f"{what} cannot be read by typer: {type(error).__name__}: {error}") from error
    made.name = name
    return made


def _made(found: Any, name: str) -> Any:
    if not isinstance(found, typer.Typer):
        about, calls = _parted(found)
        alone = typer.Typer(rich_markup_mode=None, add_completion=False)
        alone.command(name, help=about, epilog=calls)(found)
        return get_command(alone)
    if found.registered_callback or found.registered_groups or len(found.registered_commands) > 1:
        info = TyperInfo(found, cls=Door, name=name)
        return get_group_from_info(
            info, pretty_exceptions_short=False, rich_markup_mode=None, suggest_commands=found.suggest_commands
        )
    found._add_completion = False
    return get_command(found)


def _parted(function: Callable[..., Any]) -> tuple[str, str | None]:
    """Take the examples out of a docstring, which typer puts at the end of the help page."""
    text = inspect.cleandoc(function.__doc__ or "")
    about, mark, calls = text.partition("\nExamples:\n")
    lines = [line.strip() for line in calls.strip().splitlines()]
    return about.rstrip(), examples(*lines) if mark else None


def _below(ctx: Any) -> Mapping[str, Sequence[PluginEntry]]:
    """Return the commands that plugins list for the group that is being run, by their last names."""
    if _FOUND not in ctx.meta:
        from mmx.plugin.commands import installed

        ctx.meta[_FOUND] = installed()
    path: list[str] = []
    while ctx.parent is not None:
        path.insert(0, str(ctx.info_name))
        ctx = ctx.parent
    start = "".join(f"{word}." for word in path)
    names = {name.removeprefix(start): entries for name, entries in ctx.meta[_FOUND].items() if name.startswith(start)}
    return {name: entries for name, entries in sorted(names.items()) if "." not in name}

"""What a plugin must be to be used, and how it is said why it is not."""

from __future__ import annotations

import difflib
import importlib
import inspect
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import pluggy

from mmx.errors import PluginError
from mmx.plugin import hookspecs
from mmx.plugin.entries import GROUP, Part, PluginEntry
from mmx.plugin.kinds import Entry
from mmx.plugin.reference import absent

HOOKS: Final = tuple(name for name in vars(hookspecs) if name.startswith("mmx_"))


def refuse_other_parts(entry: PluginEntry, registered: set[Part]) -> None:
    """Refuse a plugin that registers something else than its metadata lists: what it has must be known unimported."""
    table = f'[project.entry-points."{GROUP}"] of its pyproject.toml'
    for kind, name in sorted(registered - set(entry.parts)):
        raise PluginError(
            f"it registers the {kind} '{name}', which its metadata does not list; add the line "
            f'"{kind}.{name}" = "{entry.module}" to {table}, and install it again'
        )
    for kind, name in sorted(set(entry.parts) - registered):
        raise PluginError(
            f"its metadata lists the {kind} '{name}', which its mmx_register does not register; register it, or take "
            f'"{kind}.{name}" out of {table} and install it again'
        )


def refuse_absent(registered: Sequence[Entry]) -> None:
    """Refuse a plugin that registers what is not where it says."""
    for entry in registered:
        why = absent(entry.part)
        if why:
            raise PluginError(f"it registers the {entry.kind} '{entry.name}' as part=\"{entry.part}\", but {why}")


def problem(plugin: object, callers: list[pluggy.HookCaller]) -> str:
    """Say what pluggy lets pass and mmx does not: misspelt hooks, wrappers, unmarked hooks, no hook at all."""
    for caller in callers:
        own = [call for call in caller.get_hookimpls() if call.plugin is plugin]
        if not caller.has_spec() and not all(call.optionalhook for call in own):
            close = difflib.get_close_matches(caller.name, HOOKS, n=1)
            hint = f"; did you mean '{close[0]}'?" if close else ""
            return f"there is no hook '{caller.name}'{hint} (hooks: {', '.join(HOOKS)})"
        if any(call.wrapper or call.hookwrapper for call in own):
            return f"{caller.name} is a hook wrapper; mmx has none, write a plain hook"
    marked = {caller.name for caller in callers}
    unmarked = [hook for hook in HOOKS if hook not in marked and hasattr(plugin, hook)]
    if unmarked:
        return f"{unmarked[0]} is not marked with @mmx.hookimpl"
    return "" if callers else "it implements no hook; functions are marked with @mmx.hookimpl"


def refuse_unknown_arguments(plugin: object) -> None:
    """Refuse an argument that a hook does not have; one with a default would never be given, and pass unnoticed."""
    for hook in HOOKS:
        implementation = getattr(plugin, hook, None)
        if callable(implementation) and hasattr(implementation, f"{hookspecs.hookimpl.project_name}_impl"):
            wrong = _unknown_argument(hook, implementation)
            if wrong:
                raise PluginError(wrong)


def _unknown_argument(hook: str, implementation: Callable[..., object]) -> str:
    known = list(inspect.signature(getattr(hookspecs, hook)).parameters)
    wrong = [name for name in inspect.signature(implementation).parameters if name not in known]
    if not wrong:
        return ""
    code = getattr(inspect.unwrap(implementation), "__code__", None)
    place = f" ({code.co_filename}:{code.co_firstlineno})" if code else ""
    close = difflib.get_close_matches(wrong[0], known, n=1)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    return f"{hook}{place} takes '{wrong[0]}', which the hook does not have{hint} (arguments: {', '.join(known)})"


def cause(error: BaseException) -> str:
    """Put an error in one line, with the place in the plugin's code that it came from."""
    text = " ".join(str(error).split()) or "no message"
    if isinstance(error, PluginError):
        return text
    own = (str(Path(__file__).parent), pluggy.__path__[0], importlib.__path__[0], "<frozen")
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(own)]
    place = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {text}{place}"

"""Commands that plugins bring, by their metadata and their source: nothing of them is imported before they are called."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, final

from mmx.errors import PluginError
from mmx.plugin import entries

if TYPE_CHECKING:
    from mmx.plugin.entries import PluginEntry
    from mmx.plugin.registry import Registrar

OWN: Final = (
    *("run", "eval", "recipe", "plugins", "plugins.show"),
    *("recipe.check", "recipe.show", "recipe.schema", "recipe.list", "recipe.copy", "recipe.new"),
)
"""Commands of the core, which no plugin can replace."""


def installed() -> Mapping[str, list[PluginEntry]]:
    """Return the plugins that list a command, by its name; one below another is ``plugins.new``. Imports nothing.

    One that is refused by its metadata takes no name from one that can be used.
    """
    found: dict[str, list[PluginEntry]] = {}
    for entry in entries.installed():
        for kind, name in entry.parts:
            if kind == "command" and not refusal(name):
                found.setdefault(name, []).append(entry)
    return {name: [entry for entry in claims if entry.usable] or claims for name, claims in found.items()}


def refusal(name: str) -> str:
    """Say why a command cannot have a name; empty if it can."""
    words = name.split(".")
    if not all(word.replace("-", "").replace("_", "").isalnum() for word in words) or len(words) > 2:
        return f"a command is called NAME, or PARENT.NAME below another; not '{name}'"
    if name in OWN or words[0] in ("run", "eval"):
        return f"mmx has the command '{' '.join(words)}' itself; give it another name"
    return ""


@final
class Registers:
    """Stands for the plugin that a command has not: registers it as it is listed."""

    def __init__(self, entry: PluginEntry) -> None:
        from mmx.plugin.hookspecs import hookimpl

        self._entry = entry
        self.mmx_register = hookimpl(lambda register: self._register(register))

    def _register(self, register: Registrar) -> None:
        for _, name in self._entry.parts:
            why = refusal(name)
            if why:
                raise PluginError(why)
            parent = name.rpartition(".")[0]
            if parent and parent not in (*OWN, *installed()):
                raise PluginError(f"there is no command '{parent}' that 'mmx {name.replace('.', ' ')}' could be below")
            register.command(name, self._entry.module, summary(self._entry.module).rstrip("."))


def summary(reference: str) -> str:
    """Read the line of a command, ``module:name``, from its source.

    It is the first paragraph of a function's docstring, or the ``help=`` of a call, as of ``typer.Typer(help=...)``. Empty if
    there is none or the source cannot be read.
    """
    module, _, name = reference.partition(":")
    try:
        spec = _spec(module)
        path = Path(str(spec.origin if spec is not None else None))
        body = ast.parse(path.read_bytes()).body
    except (ImportError, ValueError, OSError, SyntaxError):
        return ""
    for node in body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return _paragraph(ast.get_docstring(node) or "")
        if isinstance(node, ast.Assign) and name in [one.id for one in node.targets if isinstance(one, ast.Name)]:
            return _paragraph(_help(node.value))
    return ""


def _spec(module: str) -> ModuleSpec | None:
    """Find a module without importing the packages around it, as ``find_spec`` would."""
    top, *rest = module.split(".")
    spec = find_spec(top)
    name = top
    for word in rest:
        if spec is None or spec.submodule_search_locations is None:
            return None
        name = f"{name}.{word}"
        spec = PathFinder.find_spec(name, list(spec.submodule_search_locations))
    return spec


def _help(value: ast.expr) -> str:
    words = value.keywords if isinstance(value, ast.Call) else []
    found = [word.value.value for word in words if word.arg == "help" and isinstance(word.value, ast.Constant)]
    return found[0] if found and isinstance(found[0], str) else ""


def _paragraph(text: str) -> str:
    return " ".join(inspect.cleandoc(text).split("\n\n")[0].split())

"""A part's ``module:Class``, looked up in the source: importing it may import torch."""

from __future__ import annotations

import ast
import difflib
import pkgutil
import sys
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path


def absent(reference: str) -> str:
    """Say why ``module:Class`` cannot be imported, and what may have been meant.

    Empty where it is there, and where only importing can tell. Nothing but the package around the module is imported.
    """
    module, _, name = reference.partition(":")
    if module in sys.modules:
        loaded = sys.modules[module]
        return "" if hasattr(loaded, name) else f"{module} has no '{name}'{_meant(name, vars(loaded))}"
    parent, _, last = module.rpartition(".")
    try:
        spec = find_spec(module)
    except (ImportError, ValueError):
        return f"there is no module '{module}'"
    if spec is None:
        folders = list(getattr(sys.modules.get(parent), "__path__", ()))
        return f"there is no module '{module}'{_meant(last, (found.name for found in pkgutil.iter_modules(folders)))}"
    path = Path(str(spec.origin))
    try:
        names = list(_bound(ast.parse(path.read_bytes()).body))
    except (OSError, SyntaxError, ValueError):
        return ""
    if name in names or not {"*", "__getattr__"}.isdisjoint(names):
        return ""
    return f"{path} has no '{name}'{_meant(name, names)}"


def _bound(body: Iterable[ast.stmt]) -> Iterator[str]:
    """Yield the names that a module's statements bind; ``*`` for those that only the import can tell."""
    for node in body:
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                yield node.name
            case ast.Import() | ast.ImportFrom():
                yield from (alias.asname or alias.name for alias in node.names)
            case ast.Assign() | ast.AnnAssign():
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                yield from (name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name))
            case ast.If():
                yield from _bound([*node.body, *node.orelse])
            case ast.Try():
                handled = [one for handler in node.handlers for one in handler.body]
                yield from _bound([*node.body, *handled, *node.orelse, *node.finalbody])
            case _:
                pass


def _meant(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, [one for one in known if not one.startswith("__")], n=1)
    return f"; did you mean '{close[0]}'?" if close else ""

"""What a part says of itself: read from its source, since importing it may import torch."""

from __future__ import annotations

import ast
import inspect
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from mmx.plugin.kinds import Entry


@dataclass(frozen=True)
class About:
    """Where a part is defined, and its docstring."""

    place: str
    """``file:line``, or ``module:Class`` where the source cannot be read."""
    text: str
    """The docstring; empty if there is none."""


def about(entry: Entry) -> About:
    """Find a part's class, or a command, in its source. Nothing but the package around its module is imported."""
    module, _, name = entry.part.partition(":")
    try:
        spec = find_spec(module)
        path = Path(str(spec.origin if spec is not None else None))
        tree = ast.parse(path.read_bytes())
    except (ImportError, ValueError, OSError, SyntaxError):
        return About(entry.part, "")
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return About(f"{path}:{node.lineno}", inspect.cleandoc(ast.get_docstring(node) or ""))
        if isinstance(node, ast.Assign) and name in map(ast.unparse, node.targets):
            return About(f"{path}:{node.lineno}", "")
    return About(entry.part, "")

"""Python code from template modules: names replaced, imports sorted again, and several modules joined into one."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Code:
    """A module in three pieces."""

    docstring: str
    """With its quotes."""
    imports: tuple[tuple[str, str], ...]
    """Module and name of each ``from module import name``; the name is empty for ``import module``."""
    body: str


def renamed(text: str, names: Mapping[str, str]) -> str:
    """Return a text with every name replaced at once, the longest first."""
    either = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return re.sub(either, lambda found: names[found[0]], text)


def parse(text: str) -> Code:
    """Take a module apart. It has a docstring, then imports, then everything else, as the templates have."""
    tree = ast.parse(text)
    lines = text.splitlines()
    top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    found = [pair for node in top for pair in _pairs(node)]
    first = tree.body[0]
    return Code(
        docstring="\n".join(lines[: first.end_lineno]),
        imports=tuple(found),
        body="\n".join(lines[top[-1].end_lineno :]).strip("\n"),
    )


def joined(pieces: Sequence[Code], docstring: str) -> Code:
    """Return one module of several."""
    imports = tuple(pair for piece in pieces for pair in piece.imports)
    return Code(docstring, imports, "\n\n\n".join(piece.body for piece in pieces))


def written(code: Code, own: str) -> str:
    """Return a module's text, its imports sorted as ruff sorts them by default.

    Args:
        code: the module.
        own: the package that it belongs to, whose modules come last.
    """
    sections = ("standard", "installed", "own")
    groups = [_section([p for p in set(code.imports) if _place(p[0], own) == name]) for name in sections]
    gap = "\n\n\n" if code.body.startswith(("def ", "class ", "@")) else "\n\n"
    return "\n\n".join([code.docstring, *filter(None, groups)]) + gap + code.body + "\n"


def _pairs(node: ast.Import | ast.ImportFrom) -> list[tuple[str, str]]:
    if isinstance(node, ast.Import):
        return [(alias.name, "") for alias in node.names]
    return [(node.module or "", alias.name) for alias in node.names]


def _place(module: str, own: str) -> str:
    top = module.partition(".")[0]
    if top == own:
        return "own"
    return "standard" if top in sys.stdlib_module_names else "installed"


def _section(pairs: Iterable[tuple[str, str]]) -> str:
    names: dict[str, list[str]] = {}
    plain: list[str] = []
    for module, name in sorted(pairs, key=lambda pair: (pair[0].lower(), pair)):
        if name:
            names.setdefault(module, []).append(name)
        else:
            plain.append(f"import {module}")
    taken = [f"from {module} import {', '.join(sorted(found, key=_order))}" for module, found in names.items()]
    return "\n".join([*plain, *taken])


def _order(name: str) -> tuple[int, str]:
    """Constants first, then classes, then the rest."""
    constant = name.isupper() and len(name) > 1
    return (0 if constant else 1 if name[:1].isupper() else 2, name)

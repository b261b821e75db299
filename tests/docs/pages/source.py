"""Classes and functions as their source says them. Nothing is imported, so that torch is not either."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

WIDE = 76
"""Characters of a signature that still stands on one line."""


@dataclass(frozen=True)
class Attribute:
    name: str
    type: str
    default: str
    """As written; empty if there is none."""
    about: str


@dataclass(frozen=True)
class Function:
    name: str
    signature: str
    about: str
    abstract: bool = False


@dataclass(frozen=True)
class Described:
    """One class."""

    name: str
    module: str
    about: str
    attributes: tuple[Attribute, ...]
    functions: tuple[Function, ...]
    abstract: bool


@cache
def tree(module: str) -> ast.Module:
    spec = find_spec(module)
    assert spec is not None and spec.origin is not None, module
    return ast.parse(Path(spec.origin).read_text(encoding="utf-8"))


def described(reference: str) -> Described:
    """Describe ``module:Class``."""
    module, _, name = reference.partition(":")
    (node,) = [node for node in tree(module).body if isinstance(node, ast.ClassDef) and node.name == name]
    functions = tuple(_functions(node.body))
    attributes = tuple(_attributes(node.body))
    abstract = "ABC" in map(ast.unparse, node.bases) or any(function.abstract for function in functions)
    return Described(name, module, ast.get_docstring(node) or "", attributes, functions, abstract)


def kinds_of(reference: str) -> list[str]:
    """Return the classes in a contract's module that derive from it: the forms in which it is written."""
    module, _, name = reference.partition(":")
    classes = [node for node in tree(module).body if isinstance(node, ast.ClassDef)]
    return [f"{module}:{node.name}" for node in classes if name in map(ast.unparse, node.bases)]


def alias(reference: str) -> Attribute:
    """Describe ``module:NAME``, a name for a type that a module assigns."""
    module, _, name = reference.partition(":")
    body = tree(module).body
    for place, node in enumerate(body):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return Attribute(name, _written(node.value), "", _docstring(body[place + 1 : place + 2]))
    raise LookupError(reference)


def functions(module: str) -> list[Function]:
    """Describe the functions of a module."""
    return list(_functions(tree(module).body))


def _attributes(body: Sequence[ast.stmt]) -> Iterator[Attribute]:
    for place, node in enumerate(body):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and not node.target.id.startswith("_"):
            default = "" if node.value is None else _written(node.value)
            yield Attribute(
                node.target.id, _annotation(node.annotation), default, _docstring(body[place + 1 : place + 2])
            )


def _functions(body: Sequence[ast.stmt]) -> Iterator[Function]:
    for node in body:
        if not isinstance(node, ast.FunctionDef):
            continue
        special = node.name in ("__len__", "__call__", "__getitem__", "__contains__")
        marks = [ast.unparse(mark) for mark in node.decorator_list]
        if (node.name.startswith("_") and not special) or "override" in marks or ast.get_docstring(node) is None:
            continue  # what has no docstring is not for others; the house's lint wants one of all that is public
        shown = [mark for mark in marks if mark in ("property", "classmethod")]
        signature = "\n".join([*[f"@{mark}" for mark in shown], _signature(node)])
        yield Function(node.name, signature, ast.get_docstring(node) or "", abstract="abstractmethod" in marks)


def _signature(node: ast.FunctionDef) -> str:
    arguments = list(_arguments(node.args))
    returns = "" if node.returns is None else f" -> {_annotation(node.returns)}"
    line = f"def {node.name}({', '.join(arguments)}){returns}"
    if len(line) <= WIDE:
        return line
    return "\n".join([f"def {node.name}(", *[f"    {argument}," for argument in arguments], f"){returns}"])


def _arguments(given: ast.arguments) -> Iterator[str]:
    ordinary = [*given.posonlyargs, *given.args]
    missing = len(ordinary) - len(given.defaults)
    for place, one in enumerate(ordinary):
        yield _argument(one, given.defaults[place - missing] if place >= missing else None)
    if given.kwonlyargs:
        yield "*"
    for one, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
        yield _argument(one, default)


def _argument(one: ast.arg, default: ast.expr | None) -> str:
    text = one.arg if one.annotation is None else f"{one.arg}: {_annotation(one.annotation)}"
    equals = "=" if one.annotation is None else " = "
    return text if default is None else f"{text}{equals}{_written(default)}"


def _written(node: ast.expr) -> str:
    return ast.unparse(node).replace("'", '"')


def _annotation(node: ast.expr) -> str:
    """Write an annotation; one that is in quotes as a whole, without them."""
    return str(node.value) if isinstance(node, ast.Constant) else _written(node)


def _docstring(rest: Sequence[ast.stmt]) -> str:
    for node in rest:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return " ".join(node.value.value.split())
    return ""

"""Which options a part reads: seen while it is built, found in its source, or seen while it is used."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

from pydantic import BaseModel

from mmx.config import PartConfig
from mmx.plugin.registry import Entry
from mmx_kit.case import Case
from mmx_kit.uses import needs, outcome

_CHECKS_ONLY: Final = ("model_validator", "field_validator", "field_serializer", "model_serializer")
_WHOLE: Final = ("model_dump", "model_dump_json", "__dict__", "__iter__", "__eq__", "__repr__")
"""What reads all options at once."""


def unread(case: Case, exempt: set[str]) -> list[str]:
    """Return the options that nothing reads, in their order; those of nested tables too."""
    names = [name for name in type(case.config).model_fields if name not in exempt]
    nested = [name for table in _nested(type(case.config)) for name in table.model_fields]
    if not names:
        return []
    left = {*names, *nested}
    for look in (_seen_in_building, _in_source, _seen_in_use):
        if left:
            left -= look(case, left)
    return [name for name in (*names, *nested) if name in left]


def _nested(config: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Yield the classes of tables inside of options."""
    for field in config.model_fields.values():
        for inner in _classes(field.annotation):
            yield inner
            yield from _nested(inner)


def _classes(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        # A part inside of a part reads its own; tables of the core (keep, remote) are read by the core.
        if not issubclass(annotation, PartConfig) and annotation.__module__ != "mmx.config":
            yield annotation
        return
    for inner in cast("tuple[object, ...]", getattr(annotation, "__args__", ())):
        yield from _classes(inner)


def _seen_in_building(case: Case, wanted: set[str]) -> set[str]:
    return _seen(case, use=False)


def _seen_in_use(case: Case, wanted: set[str]) -> set[str]:
    return _seen(case, use=True)


def _seen(case: Case, use: bool) -> set[str]:
    """Build and perhaps use the part with options that note what is read of them."""
    seen: set[str] = set()
    config = _noting(case.config, seen)
    try:
        part = case.entry.load()(config, *needs(case))
        if use:
            outcome(case, part)
    except Exception:  # other checks say what is wrong with a part that cannot be used
        return seen
    return set(type(case.config).model_fields) if seen & set(_WHOLE) else seen


def _noting(config: PartConfig, seen: set[str]) -> PartConfig:
    kind = type(config)

    def read(self: PartConfig, name: str) -> Any:
        # pydantic reads fields for its own purposes, such as a copy.
        if not str(sys._getframe(1).f_globals.get("__name__")).startswith("pydantic"):
            seen.add(name)
        return kind.__getattribute__(self, name)

    noting = type(kind.__name__, (kind,), {"__getattribute__": read, "__module__": kind.__module__})
    made = cast(PartConfig, noting.model_construct())
    object.__setattr__(made, "__dict__", dict(vars(config)))
    object.__setattr__(made, "__pydantic_fields_set__", set(config.model_fields_set))
    return made


def _in_source(case: Case, wanted: set[str]) -> set[str]:
    """Return the wanted options that the source of the part's package reads somewhere."""
    configs = {kind.__name__ for kind in type(case.config).__mro__}
    found: set[str] = set()
    for path in sources(case.entry):
        found |= wanted & set(_reads(ast.parse(path.read_text(encoding="utf-8")), configs, inside=""))
    return found


def sources(entry: Entry) -> list[Path]:
    """Return the Python files of the part's package, or its one file."""
    name = entry.part.partition(":")[0]
    for module in (name.rpartition(".")[0], name):
        file = getattr(sys.modules.get(module), "__file__", None)
        if file is not None:
            path = Path(str(file))
            return sorted(path.parent.rglob("*.py")) if path.name == "__init__.py" else [path]
    return []


def _reads(node: ast.AST, configs: set[str], inside: str) -> Iterator[str]:
    """Yield the attributes that are read, by ``.x`` or ``getattr``.

    ``self.x`` counts in the options' own class alone: in any other it is not the option. What checks the options, or
    makes examples of them, does not use them.
    """
    if isinstance(node, ast.ClassDef):
        inside = node.name
    if isinstance(node, ast.FunctionDef) and inside in configs and _only_checks(node):
        return
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
        own = isinstance(node.value, ast.Name) and node.value.id == "self"
        if not own or inside in configs:
            yield node.attr
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr":
        yield from (item.value for item in node.args if isinstance(item, ast.Constant) and isinstance(item.value, str))
    elif isinstance(node, ast.MatchClass):
        yield from node.kwd_attrs
    for child in ast.iter_child_nodes(node):
        yield from _reads(child, configs, inside)


def _only_checks(function: ast.FunctionDef) -> bool:
    if function.name in ("tiny", "example"):
        return True
    names = [ast.unparse(decorator) for decorator in function.decorator_list]
    return any(name.rpartition("(")[0].endswith(_CHECKS_ONLY) or name.endswith(_CHECKS_ONLY) for name in names)

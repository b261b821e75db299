"""TOML files as text: read with limits, parsed, and with the line of every key."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

from tree_sitter import Language, Node, Parser
from tree_sitter_toml import language

from mmx.errors import RecipeError

KeyPath: TypeAlias = "tuple[str | int, ...]"
"""A key's way from the top of a recipe: names of tables and indices of lists."""

MAX_BYTES: Final = 1_000_000
MAX_DEPTH: Final = 100
# tomllib needs minutes for a key of tens of thousands of parts, so such keys are found without it.
LONG_KEY: Final = re.compile(r"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){100}""")
BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
AT_LINE: Final = re.compile(r"^(.*) \(at line (\d+), column (\d+)\)$", re.DOTALL)


def read_text(path: Path, label: str) -> str:
    """Read a recipe's text.

    Raises:
        RecipeError: it is no regular file, cannot be read, is too large, or is not UTF-8.
    """
    try:
        if path.exists() and not path.is_file():
            raise RecipeError(f"{label}: is not a file; a recipe is a .toml file")
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise RecipeError(f"{label}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # A NUL in the name.
        raise RecipeError(f"{label!r}: is not a file name: {error}") from error
    if len(raw) > MAX_BYTES:
        raise RecipeError(f"{label}: is larger than {MAX_BYTES // 1_000_000} MB; a recipe has a few hundred lines")
    try:
        return raw.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        byte = f"byte 0x{raw[error.start]:02x}"
        raise RecipeError(f"{label}:{line}: is not UTF-8 text ({byte}); save it as UTF-8") from error


def parse(text: str, label: str) -> dict[str, Any]:
    """Parse TOML.

    Raises:
        RecipeError: a syntax error, with line and column, or nesting deeper than any recipe needs.
    """
    long = LONG_KEY.search(text)
    if long:
        line = text.count("\n", 0, long.start()) + 1
        raise RecipeError(f"{label}:{line}: a key with more than {MAX_DEPTH} parts")
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(_syntax(str(error), text, label)) from error
    except RecursionError:
        raise RecipeError(f"{label}: tables or lists are nested deeper than {MAX_DEPTH}") from None
    if _deeper(values, MAX_DEPTH):
        raise RecipeError(f"{label}: tables or lists are nested deeper than {MAX_DEPTH}")
    return values


def lines(text: str) -> dict[KeyPath, int]:
    """Return the line of every key and table of a valid TOML text, by its path."""
    found: dict[KeyPath, int] = {}
    counts: dict[KeyPath, int] = {}
    for node in Parser(Language(language())).parse(text.encode()).root_node.named_children:
        if node.type == "pair":
            _pair(node, (), found)
        elif node.type in ("table", "table_array_element"):
            keys, *pairs = [child for child in node.named_children if child.type != "comment"]
            path = _header(_keys(keys), node.type == "table_array_element", counts)
            _mark(path, node, found)
            for pair in pairs:
                _pair(pair, path, found)
    return found


def dotted(path: KeyPath) -> str:
    """Write a path as ``a.b[0]."c d"``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            key = part if BARE_KEY.fullmatch(part) else quote(part)
            text += f".{key}" if text else key
    return text


def has(values: object, key: str | int) -> bool:
    """Return whether a table or list has a key or index."""
    if isinstance(values, Mapping):
        return key in cast(Mapping[object, object], values)
    return isinstance(values, list) and isinstance(key, int) and key < len(cast(list[object], values))


def item(values: object, key: str | int) -> object:
    """Return what a table or list has at a key or index, or None."""
    return cast(Any, values)[key] if has(values, key) else None


def at(values: object, path: KeyPath) -> object:
    """Return what is at a path, or None."""
    for key in path:
        values = item(values, key)
    return values


def quote(text: str) -> str:
    """Write a text as a TOML string that is safe to print: control characters become escapes."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in quoted)


def _syntax(message: str, text: str, label: str) -> str:
    match = AT_LINE.match(message)
    if match:
        what, line, column = match[1], int(match[2]), int(match[3])
    else:
        what, line, column = message.removesuffix(" (at end of document)"), text.count("\n") + 1, 1
    shown = text.split("\n")[line - 1].rstrip() if line <= text.count("\n") + 1 else ""
    snippet = f"\n    {shown}\n    {' ' * (column - 1)}^" if shown.strip() and len(shown) <= 100 else ""
    return f"{label}:{line}:{column}: not valid TOML: {what[:1].lower()}{what[1:]}{snippet}"


def _deeper(value: object, left: int) -> bool:
    if isinstance(value, dict):
        value = list(cast(dict[str, object], value).values())
    if not isinstance(value, list):
        return False
    return left == 0 or any(_deeper(item, left - 1) for item in cast(list[object], value))


def _header(keys: list[str], element: bool, counts: dict[KeyPath, int]) -> KeyPath:
    path: KeyPath = ()
    for index, key in enumerate(keys):
        path = (*path, key)
        if element and index == len(keys) - 1:
            counts[path] = counts.get(path, 0) + 1
        if path in counts:
            path = (*path, counts[path] - 1)
    return path


def _pair(node: Node, table: KeyPath, found: dict[KeyPath, int]) -> None:
    if node.type != "pair":
        return
    children = [child for child in node.named_children if child.type != "comment"]
    path: KeyPath = table
    for key in _keys(children[0]):
        path = (*path, key)
        found.setdefault(path, node.start_point.row + 1)
    _value(children[-1], path, found)


def _value(node: Node, path: KeyPath, found: dict[KeyPath, int]) -> None:
    if node.type == "inline_table":
        for child in node.named_children:
            _pair(child, path, found)
    elif node.type == "array":
        items = [child for child in node.named_children if child.type != "comment"]
        for index, item in enumerate(items):
            _mark((*path, index), item, found)
            _value(item, (*path, index), found)


def _mark(path: KeyPath, node: Node, found: dict[KeyPath, int]) -> None:
    for length in range(1, len(path) + 1):
        found.setdefault(path[:length], node.start_point.row + 1)


def _keys(node: Node) -> list[str]:
    keys: list[str] = []
    while node.type == "dotted_key":
        keys.append(_key(node.named_children[-1]))
        node = node.named_children[0]
    return [_key(node), *reversed(keys)]


def _key(node: Node) -> str:
    text = (node.text or b"").decode()
    return text if node.type == "bare_key" else next(iter(tomllib.loads(f"{text} = 0")))

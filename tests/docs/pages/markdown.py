"""Docstrings as Markdown: sections, code that follows a double colon, and roles."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

ROLE = re.compile(r":(?:class|meth|func|data|attr|mod):`~?([^`]+)`")
SECTION = re.compile(r"(Args|Raises|Returns|Yields):")


def inline(text: str) -> str:
    """Turn double backquotes and roles into code; keep the rest."""
    return ROLE.sub(lambda found: f"`{found[1].rpartition('.')[2]}`", text).replace("``", "`")


def cell(text: str) -> str:
    """Make text fit for a table."""
    return inline(" ".join(text.split())).replace("|", "\\|")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows), ""]


def code(text: str) -> str:
    """Return code within a table's cell."""
    return f"`{text}`".replace("|", "\\|") if text else ""


def prose(docstring: str) -> str:
    """Turn a docstring into Markdown."""
    return "\n\n".join(_blocks(docstring.split("\n\n"))).strip()


def _blocks(paragraphs: Sequence[str]) -> Iterator[str]:
    verbatim = False
    for paragraph in paragraphs:
        lines = paragraph.splitlines()
        if verbatim and all(line.startswith("    ") for line in lines):
            yield "\n".join(["```text", *(line[4:] for line in lines), "```"])
        elif lines and SECTION.fullmatch(lines[0]):
            yield "\n".join([f"{lines[0]}", "", *_items(lines[1:])])
        else:
            yield inline(paragraph.removesuffix(":") if paragraph.endswith("::") else paragraph)
        verbatim = paragraph.endswith("::")


def _items(lines: Sequence[str]) -> Iterator[str]:
    """Write ``name: meaning``, each perhaps on several lines, as a list."""
    items: list[str] = []
    for line in lines:
        text = line.removeprefix("    ")
        if text.startswith(" ") or not items or ":" not in text.split(" ")[0]:
            items[-1:] = [f"{items[-1]} {text.strip()}"] if items else [text.strip()]
        else:
            items.append(text)
    for item in items:
        name, colon, meaning = item.partition(":")
        yield f"- `{name}`:{inline(meaning)}" if colon else f"- {inline(item)}"

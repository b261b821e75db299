"""The code of a page: files to write and commands to run, in order."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FENCE: Final = re.compile(r'^```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<text>.*?)^```$', re.M | re.S)
MARK: Final = re.compile(r"<!-- test: (?P<mark>[^>]+) -->\n\Z")


@dataclass(frozen=True)
class Block:
    """One fenced block. ``mark`` is what a comment before it says to the tests: "exit 3", "slow", or "skip: why"."""

    language: str
    title: str
    text: str
    mark: str
    line: int

    @property
    def exit_code(self) -> int:
        return int(self.mark.removeprefix("exit ")) if self.mark.startswith("exit ") else 0


@dataclass(frozen=True)
class Command:
    """A command of a console block and what is said to come of it."""

    words: tuple[str, ...]
    output: tuple[str, ...]


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found: list[Block] = []
    for fence in FENCE.finditer(text):
        mark = MARK.search(text, 0, fence.start())
        line = text.count("\n", 0, fence.start()) + 1
        found.append(Block(fence["language"], fence["title"] or "", fence["text"], mark["mark"] if mark else "", line))
    return found


def commands(block: Block) -> Iterator[Command]:
    """Yield the commands: lines that start with ``$ ``, each followed by its output."""
    pieces = re.split(r"^\$ ", block.text.replace("\\\n", " "), flags=re.MULTILINE)
    assert not pieces[0].strip(), f"line {block.line}: a console block starts with a command, '$ ...'"
    for piece in pieces[1:]:
        command, *output = piece.splitlines()
        yield Command(tuple(shlex.split(command)), tuple(line for line in output if line.strip()))


def missing(expected: tuple[str, ...], printed: str) -> str | None:
    """Return the first expected line that was not printed after those before it, or None.

    White space counts once. ``...`` in a line stands for anything, on a line of its own for any lines.
    """
    lines = iter(_plain(line) for line in printed.splitlines())
    for line in expected:
        wanted = re.compile(".*".join(map(re.escape, _plain(line).split("..."))))
        if line.strip() != "..." and not any(wanted.fullmatch(found) for found in lines):
            return line
    return None


def _plain(line: str) -> str:
    return " ".join(line.split())

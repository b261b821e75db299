"""Follows a page as a reader would: writes and changes its files, runs its commands, and compares what they print."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from pages.blocks import Block, Command, commands, missing
from pages.installed import install

OURS: Final = {"mmx": ("mmx",), "pytest": ("pytest", "-p", "no:cacheprovider")}
"""Commands that are modules of this Python, with the words they start with."""
PATIENCE: Final = 900
"""Seconds that a command may take: some train."""


def follow(found: list[Block], folder: Path, slow: bool = False) -> list[str]:
    """Do what the blocks of a page say, in a folder; return the commands that were run.

    Args:
        found: the blocks.
        folder: an empty folder, the reader's; ``cd`` leads to others below it.
        slow: whether to run what is marked as slow, too.
    """
    site = folder / ".site"
    site.mkdir()
    ran: list[str] = []
    for block in found:
        if block.title:
            _write(block, folder / block.title)
        elif block.language == "console" and not block.mark.startswith("skip:") and (slow or block.mark != "slow"):
            for command in commands(block):
                if command.words[0] == "cd":
                    folder = folder / command.words[1]
                else:
                    _check(block, command, folder, site)
                ran.append(" ".join(command.words))
    return ran


def _write(block: Block, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if block.language != "diff":
        path.write_text(block.text, encoding="utf-8")
        return
    lines = block.text.splitlines(keepends=True)
    old, new = ("".join(line[1:] for line in lines if line[0] in f" {mark}") for mark in "-+")
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"line {block.line}: {block.title} has this {text.count(old)} times, not once:\n{old}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def _check(block: Block, command: Command, folder: Path, site: Path) -> None:
    code, printed = _run(command.words, folder, site)
    where = f"line {block.line}: $ {' '.join(command.words)}\n"
    assert code == block.exit_code, f"{where}ended with {code}, not {block.exit_code}:\n{printed}"
    lost = missing(command.output, printed)
    assert lost is None, f"{where}the page says {lost!r}, but it printed:\n{printed}"


def _run(words: tuple[str, ...], folder: Path, site: Path) -> tuple[int, str]:
    match words:
        case ("cat", name):
            return 0, (folder / name).read_text(encoding="utf-8")
        case ("python", "-m", tool, *rest) if tool in OURS:
            return _python(["-m", *OURS[tool], *rest], folder, site)
        case ("python", name, *rest):
            return _python([name, *rest], folder, site)
        case ("pip", "install", *_, "-e", name):  # an environment is not changed for a test: this is what pip leaves
            install(folder / name.partition("[")[0], site)
            return 0, ""
        case (tool, *rest) if tool in OURS:
            return _python(["-m", *OURS[tool], *rest], folder, site)
        case _:
            raise AssertionError(f"the tests do not know the command {words[0]}; mark its block `skip: why`")


def _python(words: list[str], folder: Path, site: Path) -> tuple[int, str]:
    paths = [str(site), *(line for pth in site.glob("*.path") for line in pth.read_text().splitlines())]
    plain = {
        "COLUMNS": "100",
        "TERM": "dumb",
        "NO_COLOR": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(paths),
    }
    ended = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={**os.environ, **plain},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
    )
    return ended.returncode, ended.stdout

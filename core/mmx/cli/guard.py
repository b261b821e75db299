"""Around every command: each way out has an exit code and a message, and none shows a traceback unasked."""

from __future__ import annotations

import functools
import os
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Final, ParamSpec

import typer

from mmx.cli.output import print_json
from mmx.errors import MmxError
from mmx.launch.rank import ALONE, LATER, Rank, find

P = ParamSpec("P")
INTERRUPTED: Final = 130
PIPE_CLOSED: Final = 141
_USAGE: Final[type[Exception]] = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")
"""What typer says of wrong usage; it has no name of its own for it."""


def guarded(command: Callable[P, int | None]) -> Callable[P, None]:
    """Turn what a command returns or raises into the process's exit code; with ``json``, an error is printed as such."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        sys.exit(outcome(lambda: command(*args, **kwargs), kwargs.get("json") is True))

    return run


def printable(text: str) -> str:
    """Escape what could steer a terminal: messages quote files and plugins."""
    return "".join(char if char.isprintable() or char == "\n" else f"\\x{ord(char):02x}" for char in text)


def outcome(command: Callable[[], int | None], json: bool) -> int:
    """Run a command, and say what it raises. Return the process's exit code; what typer itself says and ends is raised."""
    try:
        code = command() or 0
        sys.stdout.flush()
        return code
    except (typer.Exit, typer.Abort, _USAGE):
        raise
    except BrokenPipeError:
        # The reader has gone away, as in `mmx plugins | head`: no error. Nothing more may be written at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except KeyboardInterrupt:
        return _fail("Interrupted", "interrupted", INTERRUPTED, json)
    except MmxError as error:
        return _fail(type(error).__name__, str(error), error.exit_code, json)
    except Exception as error:
        return _fail(type(error).__name__, _bug(error), 1, json)


def _fail(kind: str, text: str, code: int, json: bool) -> int:
    if os.environ.get("MMX_DEBUG"):
        traceback.print_exc()
    place = whose()
    if place.rank > 0:
        # One of many that a launcher started: the first may have the same to say, and then it ends them all.
        time.sleep(LATER)
        print(f"process {place.rank} of {place.size}: error: {printable(text)}", file=sys.stderr)
        return code
    print(f"error: {printable(text)}", file=sys.stderr)
    if json:
        with suppress(BrokenPipeError):
            print_json({"error": {"type": kind, "exit": code, "message": text}})
            sys.stdout.flush()
    return code


def whose() -> Rank:
    """Return which process of which job this is; alone, if its variables make no sense."""
    try:
        return find(os.environ)
    except MmxError:
        return ALONE


def _bug(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    place = f"\n  at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return (
        f"{type(error).__name__}: {error}{place}\n"
        "this is a bug in mmx or a plugin; run again with MMX_DEBUG=1 for the traceback"
    )

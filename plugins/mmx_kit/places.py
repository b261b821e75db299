"""Lines of a part's own code, for messages."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Final

import torch

_OTHERS: Final = (str(Path(__file__).parents[1]) + os.sep, str(Path(torch.__file__).parent) + os.sep, "<")
_CHECKERS: Final = (f"{os.sep}jaxtyping{os.sep}", f"{os.sep}beartype{os.sep}")


def caller() -> str:
    """Return the nearest line on the stack that is neither torch's nor the core's; empty if there is none."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _is_other(frame.f_code.co_filename):
        frame = frame.f_back
    return "" if frame is None else line(frame.f_code.co_filename, frame.f_lineno)


def line(file: str, number: int) -> str:
    """Write a place as messages do; relative to the working directory where it is below it."""
    path = Path(file)
    return f"{path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}:{number}"


def _is_other(file: str) -> bool:
    return file.startswith(_OTHERS) or any(checker in file for checker in _CHECKERS)


def lines_that_change(read: Callable[[], object], files: set[str], act: Callable[[], object]) -> list[str]:
    """Return the lines of some files in which a value changes while something runs, in the order of the changes.

    Args:
        read: returns the value.
        files: the files whose lines count; a change in what they call is theirs.
        act: runs. What it raises is not told.
    """
    watch = _Lines(read, files)
    before = sys.gettrace()
    sys.settrace(watch.called)
    try:
        act()
    except Exception:
        return list(watch.found())
    finally:
        sys.settrace(before)
    return list(watch.found())


class _Lines:
    """A trace function that reads a value before each line."""

    def __init__(self, read: Callable[[], object], files: set[str]) -> None:
        self._read = read
        self._files = files
        self._last = read()
        self._at: dict[FrameType, int] = {}
        """Of the calls that have not returned: the line that each is at, the innermost last."""
        self._changed: dict[tuple[str, int], None] = {}

    def called(self, frame: FrameType, event: str, argument: object) -> Any:
        """Follow the frames of the files."""
        if frame.f_code.co_filename not in self._files:
            return None
        self._look(next(reversed(self._at), None))
        self._at[frame] = frame.f_lineno
        return self._moved

    def _moved(self, frame: FrameType, event: str, argument: object) -> Any:
        """Look whether the line that ends here changed the value."""
        self._look(frame)
        self._at[frame] = frame.f_lineno
        if event == "return":
            del self._at[frame]
        return self._moved

    def _look(self, frame: FrameType | None) -> None:
        """Blame a change on the line that a frame was at; without a frame it is none of these files'."""
        now = self._read()
        if now != self._last and frame is not None:
            self._changed.setdefault((frame.f_code.co_filename, self._at[frame]))
        self._last = now

    def found(self) -> Iterator[str]:
        """Yield the lines."""
        return (line(file, number) for file, number in self._changed)

"""Lines that are named in messages: where something is called from, and where a value changes."""

import inspect
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from mmx_kit.places import caller, line, lines_that_change


def inner() -> float:
    return random.random()


def outer() -> float:
    first = 1.0
    second = random.random() + inner()
    return first + second


def still() -> float:
    return 1.0


def fails() -> None:
    random.random()
    raise ValueError


def at(function: Callable[..., object], offset: int) -> str:
    return line(__file__, inspect.getsourcelines(function)[1] + offset)


def test_the_caller_is_the_nearest_line_outside_of_the_core() -> None:
    assert caller() == at(test_the_caller_is_the_nearest_line_outside_of_the_core, 1)


def test_a_place_is_relative_below_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert line(str(tmp_path / "a" / "b.py"), 3) == "a/b.py:3"
    assert line("/elsewhere/b.py", 3) == "/elsewhere/b.py:3"


@pytest.mark.parametrize(
    ("act", "lines"),
    [(outer, [(outer, 2), (inner, 1)]), (still, []), (fails, [(fails, 1)])],
    ids=["outer", "still", "fails"],
)
def test_the_lines_that_change_a_value_are_found(
    act: Callable[[], object], lines: list[tuple[Callable[..., object], int]]
) -> None:
    def run() -> object:
        random.random()  # before any line of the files, and none of theirs
        return act()

    found = lines_that_change(random.getstate, {__file__}, act)
    assert found == [at(function, offset) for function, offset in lines]
    assert lines_that_change(random.getstate, {"other.py"}, run) == []

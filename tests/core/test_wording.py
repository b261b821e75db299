"""Numbers, times and names as people read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmx import wording
from mmx.parts.evaluator import Number


@pytest.mark.parametrize(
    ("fraction", "text"),
    [
        (0.287, "28.7 %"),
        (1.0, "100.0 %"),
        (0.0026, "0.26 %"),
        (0.000525, "0.05 %"),
        (0.0, "0.0 %"),
        (0.00002, "0.002 %"),
    ],
)
def test_percent(fraction: float, text: str) -> None:
    assert wording.percent(fraction) == text


def test_a_number_with_chance_or_interval_from_0_to_1_is_a_fraction() -> None:
    assert wording.value(Number(0.5, chance=0.1)) == "50.0 %"
    assert wording.value(Number(0.5)) == "0.5"
    assert wording.value(Number(3.5, 3.0, 4.0)) == "3.5"
    assert wording.value(Number(float("nan"), chance=0.1)) == "nan"


def test_interval_and_chance_follow_the_number() -> None:
    assert wording.interval(Number(0.3, 0.25, 0.35)) == "25.0 to 35.0 %"
    assert wording.interval(Number(3.5, 3.0, 4.0)) == "3 to 4"
    assert wording.interval(Number(0.3, chance=0.1)) == ""
    assert wording.chance(Number(0.3)) == ""
    assert wording.chance(Number(12.0, chance=50.0)) == "50"


@pytest.mark.parametrize(
    ("seconds", "clock", "words"),
    [
        (42.4, "0:42", "42 s"),
        (153, "2:33", "2 min 33 s"),
        (18_750, "5:12:30", "5 h 12 min"),
        (-1, "-:--", "an unknown time"),
    ],
)
def test_times(seconds: float, clock: str, words: str) -> None:
    assert (wording.clock(seconds), wording.duration(seconds)) == (clock, words)


def test_times_that_are_not_known() -> None:
    assert wording.clock(float("inf")) == wording.clock(float("nan")) == "-:--"


@pytest.mark.parametrize(
    ("count", "text"), [(950, "950"), (12_345, "12,345"), (1_234_567, "1.23 M"), (3 * 10**9, "3 G")]
)
def test_large_counts_are_short(count: int, text: str) -> None:
    assert wording.many(count) == text


@pytest.mark.parametrize(("count", "text"), [(0, "0 steps"), (1, "1 step"), (2, "2 steps"), (1234, "1,234 steps")])
def test_nouns_are_counted(count: int, text: str) -> None:
    assert wording.counted(count, "step") == text


def test_names_cannot_steer_a_terminal() -> None:
    assert wording.printable("a\x1b[31m\nb é") == "a\\x1b[31m\\nb é"


def test_paths_are_short_below_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert wording.short(tmp_path / "runs" / "x") == wording.short(Path("runs/x")) == "runs/x"
    assert wording.short(tmp_path.parent) == str(tmp_path.parent)


def test_the_headline_comes_first() -> None:
    assert wording.headline_first("top1", ["top5", "top1", "a"]) == ["top1", "top5", "a"]

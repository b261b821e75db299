"""The filters against their rules, written out."""

from typing import Any

import numpy as np
import pytest

from mmx.parts.dataset import Sample
from mmx_filters.configs import AspectConfig, CharactersConfig, NumberConfig, SideConfig, WordsConfig
from mmx_filters.numbers import Aspect, Characters, Number, Side
from mmx_filters.words import Words

NAN = float("nan")
WIDTHS, HEIGHTS = np.array([40.0, 100, 20, NAN, 64]), np.array([30.0, 10, 20, NAN, 64])


@pytest.mark.parametrize(
    ("options", "left"), [({"min": 20}, "acde"), ({"max": 20}, "bcd"), ({"min": 20, "max": 30}, "acd"), ({}, "abcde")]
)
def test_side(options: dict[str, Any], left: str) -> None:
    stay = Side(SideConfig(name="side", **options)).stay({"width": WIDTHS, "height": HEIGHTS})
    assert "".join(np.array([*"abcde"])[stay]) == left


@pytest.mark.parametrize(("most", "left"), [(1.0, [2, 3, 4]), (4 / 3, [0, 2, 3, 4]), (10.0, [0, 1, 2, 3, 4])])
def test_aspect(most: float, left: list[int]) -> None:
    stay = Aspect(AspectConfig(name="aspect", max=most)).stay({"width": WIDTHS, "height": HEIGHTS})
    assert np.flatnonzero(stay).tolist() == left


@pytest.mark.parametrize(("options", "left"), [({"min": 5}, [1, 2]), ({"max": 5}, [0, 1, 2]), ({"min": 6}, [2])])
def test_characters_and_what_cannot_be_measured(options: dict[str, Any], left: list[int]) -> None:
    stay = Characters(CharactersConfig(name="characters", **options)).stay({"characters": np.array([4, 5, NAN])})
    assert np.flatnonzero(stay).tolist() == left


@pytest.mark.parametrize(("options", "left"), [({"min": 0.3}, [1]), ({"max": 0.3}, [0]), ({}, [0, 1])])
def test_a_number_must_be_there(options: dict[str, Any], left: list[int]) -> None:
    one = Number(NumberConfig(name="number", field="score", **options))
    assert one.numbers == ("score",)
    assert np.flatnonzero(one.stay({"score": np.array([0.1, 0.5, NAN])})).tolist() == left


@pytest.mark.parametrize(
    ("options", "stays"),
    [
        ({"min": 3}, True),
        ({"min": 4}, False),
        ({"max": 2}, True),
        ({"without": ("RED",)}, True),
        ({"min": 3, "without": ("red",)}, False),
        ({"without": ("red", "blue")}, False),
        ({}, True),
    ],
)
def test_one_caption_at_least_must_pass(options: dict[str, Any], stays: bool) -> None:
    sample = Sample("s", None, ("a Red  dog", "blue cat"))
    assert Words(WordsConfig(name="words", **options)).stays(sample) is stays


def test_a_sample_without_captions_does_not_pass() -> None:
    assert not Words(WordsConfig(name="words")).stays(Sample("s", None, ()))

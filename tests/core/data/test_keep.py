"""Which samples are used."""

from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np
import pytest
from PIL import Image
from typing_extensions import override

from mmx.config import BoundsTable, KeepTable
from mmx.data.keep import kept
from mmx.errors import DataError, RecipeError
from mmx.parts.dataset import BadSampleError, Classes, Dataset, Sample

SIDES = ((40, 30), (100, 10), (20, 20), (0, 0), (64, 64))
"""The fourth cannot be read."""
TEXTS = ("four", "a longer one", "", "none", "x" * 50)
SCORES = (0.1, 0.5, 0.9, np.nan, 0.3)


@final
class Five(Dataset):
    @override
    def __len__(self) -> int:
        return 5

    @override
    def key(self, index: int) -> str:
        return "abcde"[index]

    @override
    def read(self, index: int) -> Sample:
        if index == 3:
            raise BadSampleError("d: torn")
        return Sample(self.key(index), Image.new("RGB", SIDES[index]), (TEXTS[index], "b"))

    @override
    def runs(self) -> Sequence[int]:
        return (2, 1, 2)

    @override
    def classes(self) -> Classes:
        return Classes(("one",))


@final
class Scored(Dataset):
    """Five samples with a number beside each."""

    @override
    def __len__(self) -> int:
        return 5

    @override
    def key(self, index: int) -> str:
        return "abcde"[index]

    @override
    def read(self, index: int) -> Sample:
        raise BadSampleError("not needed")

    @override
    def columns(self, names: Sequence[str]) -> Mapping[str, Any]:
        return {name: np.array(SCORES) for name in names}


def keys(dataset: Dataset) -> str:
    return "".join(dataset.key(index) for index in range(len(dataset)))


@pytest.mark.parametrize(
    ("options", "left", "counts"),
    [
        ({"min_side": 20}, "acde", {"min_side": 1}),
        ({"max_aspect": 4 / 3}, "acde", {"max_aspect": 1}),
        ({"min_characters": 5}, "bde", {"min_characters": 2}),
        ({"max_characters": 12}, "abcd", {"max_characters": 1}),
        ({"min_side": 20, "min_characters": 5}, "de", {"min_side": 1, "min_characters": 2}),
    ],
)
def test_each_filter_leaves_out_what_fails_it(options: dict[str, Any], left: str, counts: dict[str, int]) -> None:
    dataset = kept(Five(), KeepTable(**options))
    assert (keys(dataset), dataset.left_out) == (left, counts)  # pyright: ignore
    assert len(dataset) + sum(counts.values()) == 5


def test_what_cannot_be_measured_stays_to_be_counted_as_bad() -> None:
    dataset = kept(Five(), KeepTable(min_side=50))
    assert keys(dataset) == "de"
    with pytest.raises(BadSampleError, match="torn"):
        dataset.read(0)


@pytest.mark.parametrize(
    ("bounds", "left"),
    [
        (BoundsTable(min=0.3), "bce"),
        (BoundsTable(max=0.3), "ae"),
        (BoundsTable(min=0.3, max=0.5), "be"),
        (BoundsTable(), "abce"),
    ],
)
def test_a_stored_number_is_within_its_bounds_and_there(bounds: BoundsTable, left: str) -> None:
    dataset = kept(Scored(), KeepTable(fields={"score": bounds}))
    assert (keys(dataset), dataset.left_out) == (left, {"fields.score": 5 - len(left)})  # pyright: ignore


def test_runs_are_those_of_what_is_left() -> None:
    assert list(kept(Five(), KeepTable(min_characters=5)).runs()) == [1, 2]
    assert list(kept(Five(), KeepTable(min_side=20)).runs()) == [1, 1, 2]


def test_the_rest_passes_through() -> None:
    dataset = kept(Five(), KeepTable(min_characters=5))
    assert dataset.classes() == Classes(("one",)) and dataset.read(2).texts == ("x" * 50, "b")
    assert dataset.columns(["width"])["width"].tolist()[::2] == [100.0, 64.0]
    for outside in (-1, 3):
        with pytest.raises(IndexError):
            dataset.read(outside)
    assert kept(plain := Five(), None) is plain and len(kept(plain, KeepTable())) == 5


def test_a_number_that_there_is_not_is_named() -> None:
    with pytest.raises(
        RecipeError, match=r"keep: samples have no number 'score' \(they have: width, height, characters\)"
    ):
        kept(Five(), KeepTable(fields={"score": BoundsTable(min=1)}))


def test_filters_that_leave_nothing_are_refused() -> None:
    with pytest.raises(DataError, match=r"keep leaves none of the 5 samples \(fields.score: 5\)"):
        kept(Scored(), KeepTable(fields={"score": BoundsTable(min=2)}))

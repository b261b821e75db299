"""Which samples are used."""

from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np
import pytest
from PIL import Image
from typing_extensions import override

from mmx.config import BoundsTable, KeepTable
from mmx.data.build import filters_of
from mmx.data.keep import kept
from mmx.errors import DataError, PluginError, RecipeError
from mmx.parts.dataset import BadSampleError, Classes, Dataset, Sample
from mmx.parts.filter import Filter, NumberFilter, SampleFilter
from mmx_toy.start import plugins

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


def filtered(dataset: Dataset, **options: Any) -> Dataset:
    """Return a dataset with the filters of a recipe's table ``keep``."""
    return kept(dataset, filters_of(KeepTable(**options), plugins().registries))


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
    dataset = filtered(Five(), **options)
    assert (keys(dataset), dataset.left_out) == (left, counts)  # pyright: ignore
    assert len(dataset) + sum(counts.values()) == 5


def test_what_cannot_be_measured_stays_to_be_counted_as_bad() -> None:
    dataset = filtered(Five(), min_side=50)
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
    dataset = filtered(Scored(), fields={"score": bounds})
    assert (keys(dataset), dataset.left_out) == (left, {"fields.score": 5 - len(left)})  # pyright: ignore


def test_runs_are_those_of_what_is_left() -> None:
    assert list(filtered(Five(), min_characters=5).runs()) == [1, 2]
    assert list(filtered(Five(), min_side=20).runs()) == [1, 1, 2]


def test_the_rest_passes_through() -> None:
    dataset = filtered(Five(), min_characters=5)
    assert dataset.classes() == Classes(("one",)) and dataset.read(2).texts == ("x" * 50, "b")
    assert dataset.columns(["width"])["width"].tolist()[::2] == [100.0, 64.0]
    for outside in (-1, 3):
        with pytest.raises(IndexError):
            dataset.read(outside)
    assert filtered(plain := Five()) is plain


def test_a_number_that_there_is_not_is_named() -> None:
    with pytest.raises(
        RecipeError, match=r"keep: samples have no number 'score' \(they have: width, height, characters\)"
    ):
        filtered(Five(), fields={"score": BoundsTable(min=1)})


def test_filters_that_leave_nothing_are_refused() -> None:
    with pytest.raises(DataError, match=r"keep leaves none of the 5 samples \(fields.score: 5\)"):
        filtered(Scored(), fields={"score": BoundsTable(min=2)})


class Odd(SampleFilter):
    """Every second of the samples that it is shown."""

    def __init__(self, pictures: bool = False) -> None:
        self.seen: list[str] = []
        self.pictures = pictures

    @override
    def stays(self, sample: Sample) -> bool:
        assert (sample.image is not None) == self.pictures
        self.seen.append(sample.key)
        return len(self.seen) % 2 == 1


def test_filters_that_read_samples_come_last_and_see_what_is_left() -> None:
    side = filters_of(KeepTable(min_side=20), plugins().registries)
    for pictures in (False, True):
        odd = Odd(pictures)
        filters: dict[str, Filter] = {"filters.odd": odd, **side}
        dataset = kept(Five(), filters)
        assert odd.seen == ["a", "c", "e"], "b is too small, d cannot be read"
        assert keys(dataset) == "ade" and dict(dataset.left_out) == {"filters.odd": 1, "min_side": 1}  # pyright: ignore


def test_a_filter_of_a_plugin_is_named_in_the_table() -> None:
    table = KeepTable.model_validate(
        {"min_side": 20, "filters": {"long": {"name": "words", "min": 3}}}, context=plugins().registries
    )
    dataset = kept(Five(), filters_of(table, plugins().registries))
    assert keys(dataset) == "d" and dict(dataset.left_out) == {"min_side": 1, "filters.long": 3}  # pyright: ignore


class Wrong(NumberFilter):
    numbers = ("width",)

    @override
    def stay(self, columns: Mapping[str, Any]) -> Any:
        return columns["width"][:2] > 0


class Failing(Odd):
    @override
    def stays(self, sample: Sample) -> bool:
        raise KeyError("no such thing")


@pytest.mark.parametrize(
    ("one", "found"),
    [
        (Wrong(), r"keep.filters.x: Wrong.stay returned bool of shape \[2\]; one bool for each of the 5 samples"),
        (Failing(), "keep.filters.x: the filter fails on the sample a: KeyError"),
    ],
)
def test_a_filter_that_breaks_its_contract_is_named(one: Filter, found: str) -> None:
    with pytest.raises(PluginError, match=found):
        kept(Five(), {"filters.x": one})

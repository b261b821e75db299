"""Filters: what they say depends on samples and options alone, and is a yes or no for each."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from mmx.parts.dataset import MEASURES, Sample
from mmx.parts.filter import Filter, NumberFilter, SampleFilter
from mmx_kit.case import Case
from mmx_kit.check import BrokenError, Check
from mmx_kit.samples import PartnerDataset
from mmx_kit.sources import pictures

_KIND: Final = ("filter",)
_ROWS: Final = 64
_SHARE: Final = 8
"""One number in so many is not known."""
_WORDS: Final = (
    "dog",
    "a red dog",
    "A red dog",
    "a photograph of two cats that sleep on a sofa, in the sun",
    "stock photo of a dog",
    "",
)


def columns_for(names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Return made-up numbers of samples, some of which are not known."""
    draw = np.random.default_rng(0)
    found: dict[str, np.ndarray] = {}
    for name in names:
        values = draw.integers(1, 500, _ROWS).astype(float) if name in MEASURES else draw.random(_ROWS)
        found[name] = np.where(draw.integers(0, _SHARE, _ROWS) == 0, np.nan, values)
    return found


def samples_for() -> list[Sample]:
    """Return samples with short and long captions, and pictures of several sizes."""
    dataset, odd = PartnerDataset(), list(pictures().values())
    drawn = [dataset.read(index) for index in range(len(dataset))]
    said = [Sample(f"said-{i}", odd[i % len(odd)], (text,)) for i, text in enumerate(_WORDS)]
    return [*drawn, *said]


def verdicts(one: Filter) -> tuple[bool, ...]:
    """Return what a filter says of made-up samples."""
    if isinstance(one, NumberFilter):
        return tuple(bool(stays) for stays in one.stay(columns_for(one.numbers)))
    assert isinstance(one, SampleFilter)
    return tuple(one.stays(sample) for sample in samples_for())


def _answers(case: Case) -> None:
    one: Filter = case.build()
    if isinstance(one, NumberFilter):
        stay: Any = one.stay(columns_for(one.numbers))
        if not isinstance(stay, np.ndarray) or stay.dtype != bool or stay.shape != (_ROWS,):
            raise BrokenError(f"stay returns one bool for each of {_ROWS} samples, not {stay!r:.80}")
        return
    if not isinstance(one, SampleFilter):
        raise BrokenError(f"{type(one).__name__} derives from neither NumberFilter nor SampleFilter")
    for sample in samples_for():
        stays: Any = one.stays(sample)
        if type(stays) is not bool:
            raise BrokenError(f"stays returns a bool, not {stays!r:.80}")


def _same_again(case: Case) -> None:
    first = verdicts(case.build())
    if verdicts(case.build(seed=1)) != first:
        raise BrokenError(
            "two instances say other things of the same samples: each process of a run asks one of its own"
        )


def _tells_apart(case: Case) -> None:
    found = set(verdicts(case.build()))
    if len(found) == 1:
        said = "all stay" if found == {True} else "none stays"
        raise BrokenError(f"of very different samples {said}: let example() give options by which some do")


def _leaves(case: Case) -> None:
    one: Filter = case.build()
    if isinstance(one, NumberFilter):
        given = columns_for(one.numbers)
        one.stay(given)
        if not _equal(given, columns_for(one.numbers)):
            raise BrokenError("it changes the columns that it is given; other filters read them too")
        return
    assert isinstance(one, SampleFilter)
    for sample, fresh in zip(samples_for(), samples_for(), strict=True):
        one.stays(sample)
        if sample.image is not None and fresh.image is not None and sample.image.tobytes() != fresh.image.tobytes():
            raise BrokenError(f"it draws into the picture of {sample.key}")


def _equal(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> bool:
    return all(np.array_equal(one[name], other[name], equal_nan=True) for name in one)


FILTER_CHECKS: Final = (
    Check("answers", "it says of each sample whether it stays", _KIND, _answers),
    Check("same answers", "a new instance says the same of the same samples", _KIND, _same_again),
    Check("tells apart", "some samples stay, and some do not", _KIND, _tells_apart),
    Check("leaves samples", "what it is shown is left as it was", _KIND, _leaves),
)

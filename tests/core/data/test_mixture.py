"""Several datasets as one."""

from dataclasses import replace

import pytest

from mmx.config import KeepTable
from mmx.data.build import filters_of
from mmx.data.keep import kept
from mmx.data.mixture import Mixture, left_out, sizes
from mmx.parts.dataset import BadSampleError
from mmx_toy.configs import Pictures
from mmx_toy.data import ToyPictures
from mmx_toy.start import plugins


def toys(samples: int, bad: tuple[int, ...] = ()) -> ToyPictures:
    return ToyPictures(Pictures(name="toy", samples=samples, bad=bad))


@pytest.fixture
def mixture() -> Mixture:
    return Mixture({"a": toys(3), "b": toys(5, bad=(1,))})


def test_samples_follow_each_other_under_the_names_of_their_sources(mixture: Mixture) -> None:
    assert len(mixture) == 8 and sizes(mixture) == [3, 5] and list(mixture.runs()) == [3, 5]
    assert [mixture.key(index) for index in (0, 2, 3, 7)] == ["a/toy-0000", "a/toy-0002", "b/toy-0000", "b/toy-0004"]
    assert replace(mixture.read(7), key="", image=None) == replace(toys(5).read(4), key="", image=None)


def test_a_bad_sample_is_named_once(mixture: Mixture) -> None:
    with pytest.raises(BadSampleError, match=r"^is bad on purpose$"):
        mixture.read(4)


@pytest.mark.parametrize("index", [-1, 8])
def test_there_is_nothing_outside(mixture: Mixture, index: int) -> None:
    with pytest.raises(IndexError):
        mixture.read(index)


def test_what_is_read_ahead_goes_to_its_source(mixture: Mixture, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[int]] = []
    monkeypatch.setattr(ToyPictures, "ahead", lambda self, indices: asked.append(list(indices)))
    mixture.ahead([7, 0, 3])
    assert asked == [[0], [4, 0]]


def test_what_filters_leave_out_is_counted_by_source(mixture: Mixture) -> None:
    filtered = Mixture(
        {"a": toys(3), "b": kept(toys(5), filters_of(KeepTable(min_characters=6), plugins().registries))}
    )
    assert left_out(mixture) == {} and left_out(filtered) == {"sources.b.keep.min_characters": 2}
    assert left_out(kept(toys(5), filters_of(KeepTable(min_characters=6), plugins().registries))) == {
        "train.keep.min_characters": 2
    }

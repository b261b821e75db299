"""Views: every row is drawn from a generator of its own, whatever else there is."""

from collections.abc import Mapping

import pytest
import torch
from PIL import Image

from mmx.data.order import Ticket
from mmx.data.views import ImageView, Reader, Row, Skipped, TextView, collate, needed
from mmx.errors import DataError, PluginError, RecipeError
from mmx.parts.transform import ImageTransform, PixelRow, Preprocess, TextTransform, WordRow
from mmx_toy.configs import Letters, Pictures, Shake
from mmx_toy.data import ToyPictures, ToyShake
from mmx_toy.texts import ToyDrop, ToyTokenizer

SHAPE = Preprocess(size=6, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), resize="squash")


def reader(
    images: Mapping[str, str | None] | None = None,
    texts: Mapping[str, str | None] | None = None,
    seed: int = 0,
    config: Pictures | None = None,
    strength: float = 0.5,
) -> Reader:
    shake = ToyShake(Shake(name="toy", strength=strength), SHAPE)
    drop = ToyDrop(Shake(name="toy"), ToyTokenizer(Letters(name="toy")))
    return Reader(
        ToyPictures(config or Pictures(name="toy")),
        {name: ImageView(shake, of) for name, of in (images or {"clean": None}).items()},
        {name: TextView(drop, of) for name, of in (texts or {"clean": None}).items()},
        seed,
    )


def row(of: Reader, index: int = 0, epoch: int = 0) -> Row:
    found = of[Ticket(index, epoch)]
    assert isinstance(found, Row)
    return found


def same(one: PixelRow | WordRow, other: PixelRow | WordRow) -> bool:
    if isinstance(one, PixelRow) and isinstance(other, PixelRow):
        return torch.equal(one.pixels, other.pixels)
    return isinstance(one, WordRow) and isinstance(other, WordRow) and torch.equal(one.ids, other.ids)


def test_a_row_depends_on_seed_epoch_sample_and_view_only() -> None:
    first = row(reader(), 5, 2)
    for index in (7, 3):
        row(reader(), index, 2)
    torch.manual_seed(99)
    again = row(reader(), 5, 2)
    assert same(first.images["clean"], again.images["clean"]) and same(first.texts["clean"], again.texts["clean"])
    others = [row(reader(seed=1), 5, 2), row(reader(), 5, 3), row(reader(), 9, 2)]
    assert not any(same(first.images["clean"], other.images["clean"]) for other in others)
    other = row(reader(images={"second": None}), 5, 2)
    assert not same(first.images["clean"], other.images["second"])


class SeedPixels(ImageTransform):
    """A row that shows the seed it was drawn with."""

    def __call__(self, source: Image.Image | PixelRow, draw: torch.Generator) -> PixelRow:
        digits = [draw.initial_seed() >> shift & 255 for shift in range(0, 24, 8)]
        return PixelRow(torch.tensor(digits, dtype=torch.uint8).view(3, 1, 1))


class SeedWords(TextTransform):
    """The same for words."""

    def __call__(self, source: tuple[str, ...] | WordRow, draw: torch.Generator) -> WordRow:
        return WordRow(
            torch.tensor([draw.initial_seed() >> shift & 255 for shift in range(0, 24, 8)]), torch.ones(3) > 0
        )


def test_views_of_images_and_texts_of_one_name_draw_apart() -> None:
    images, texts = {"clean": ImageView(SeedPixels(), None)}, {"clean": TextView(SeedWords(), None)}
    found = row(Reader(reader().dataset, images, texts, 0))
    assert found.images["clean"].pixels.flatten().tolist() != found.texts["clean"].ids.tolist()


def test_adding_a_view_changes_no_other() -> None:
    alone = row(reader())
    more = row(reader({"aaa": None, "clean": None, "of": "clean"}, {"aaa": None, "clean": None, "of": "aaa"}))
    assert same(alone.images["clean"], more.images["clean"]) and same(alone.texts["clean"], more.texts["clean"])


def test_a_view_of_a_view_starts_from_its_row() -> None:
    found = row(reader({"clean": None, "second": "clean"}, strength=0.0))
    assert same(found.images["clean"], found.images["second"])
    noisy = row(reader({"clean": None, "second": "clean"}))
    assert not same(noisy.images["clean"], noisy.images["second"])


def test_sources_come_before_the_views_made_from_them() -> None:
    of = {"c": "b", "b": "a", "a": None, "unused": None}
    assert needed({"c"}, of, "data.images") == ["a", "b", "c"]
    assert needed({"a", "c"}, of, "data.images") == ["a", "b", "c"] and needed(set(), of, "data.images") == []
    with pytest.raises(
        RecipeError, match=r"reads the view 'x', but there is no \[data.images.x\] \(there: c, b, a, unused\)"
    ):
        needed({"x"}, of, "data.images")
    with pytest.raises(RecipeError, match=r"no \[data.texts.x\] \(there: none\)"):
        needed({"x"}, {}, "data.texts")


def test_a_bad_sample_comes_back_by_name_with_the_reason() -> None:
    assert reader(config=Pictures(name="toy", bad=(3,)))[Ticket(3, 0)] == Skipped("toy-0003", "is bad on purpose")
    assert reader(config=Pictures(name="toy", blind=True))[Ticket(3, 0)] == Skipped("toy-0003", "has no picture")


def test_errors_name_the_sample() -> None:
    with pytest.raises(PluginError, match=r"fails on the sample toy-0003: KeyError.*data.py:\d+.*BadSampleError"):
        reader(config=Pictures(name="toy", wrong=(3,)))[Ticket(3, 0)]
    with pytest.raises(DataError, match="the toy dataset is gone"):
        reader(config=Pictures(name="toy", lost=True))[Ticket(3, 0)]


def test_rows_are_stacked_and_bad_ones_left_out() -> None:
    of = reader(config=Pictures(name="toy", bad=(1,)))
    loaded = collate([of[Ticket(index, 0)] for index in range(4)])
    assert loaded.batch.keys == ["toy-0000", "toy-0002", "toy-0003"] and [bad.key for bad in loaded.bad] == ["toy-0001"]
    assert loaded.batch.images["clean"].pixels.shape == (3, 3, 6, 6)
    assert loaded.batch.texts["clean"].ids.shape == (3, 12)
    assert loaded.batch.facts["label"].tolist() == [0, 2, 3]
    empty = collate([Skipped("a", "b")])
    assert empty.batch.keys == () and [bad.key for bad in empty.bad] == ["a"]


def test_facts_that_not_every_row_has_are_left_out() -> None:
    one, two = row(reader(), 0), row(reader(), 1)
    more = Row(one.key, one.images, one.texts, {"label": 3, "group": 1})
    assert set(collate([more, two]).batch.facts) == {"label"} and set(collate([more]).batch.facts) == {"label", "group"}

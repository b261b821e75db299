"""Samples with several pictures, captions with roles, facts of every type, and second samples."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

import pytest
import torch
from PIL import Image
from typing_extensions import override

from mmx.data.mixture import Mixture
from mmx.data.order import Ticket
from mmx.data.views import ImageView, Reader, Row, Skipped, TextView, collate
from mmx.errors import PluginError, RecipeError
from mmx.parts.batch import joined
from mmx.parts.dataset import BadSampleError, Dataset, Fact, Sample
from mmx.parts.transform import ImageTransform, PairedTextTransform, PixelRow, TextTransform, WordRow

COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255))


@final
@dataclass
class Given(Dataset):
    """Samples as they are given; those without a key are bad."""

    samples: list[Sample]
    pictured: list[int] = field(default_factory=list[int])
    """Indices of samples whose pictures were read."""

    @override
    def __len__(self) -> int:
        return len(self.samples)

    @override
    def key(self, index: int) -> str:
        return f"s{index}"

    @override
    def read(self, index: int) -> Sample:
        self.pictured.append(index)
        return self.read_texts(index)

    @override
    def read_texts(self, index: int) -> Sample:
        if not self.samples[index].key:
            raise BadSampleError("is torn")
        return self.samples[index]


class Corner(ImageTransform):
    """The first pixel."""

    @override
    def __call__(self, source: "Image.Image | PixelRow", draw: torch.Generator) -> PixelRow:
        assert isinstance(source, Image.Image)
        return PixelRow(torch.tensor(source.getpixel((0, 0)), dtype=torch.uint8).view(3, 1, 1))


class First(TextTransform):
    """The characters of the first caption."""

    @override
    def __call__(self, source: "tuple[str, ...] | WordRow", draw: torch.Generator) -> WordRow:
        assert isinstance(source, tuple)
        ids = torch.tensor([*map(ord, source[0][:4].ljust(4))])
        return WordRow(ids, ids > 0)


class Other(PairedTextTransform):
    """The first caption of a second sample."""

    @override
    def wants(self, draw: torch.Generator) -> bool:
        return True

    @override
    def paired(self, source: "tuple[str, ...] | WordRow", second: tuple[str, ...], draw: torch.Generator) -> WordRow:
        row = First()(second, draw)
        return WordRow(row.ids, row.mask, facts={"matched": 0})

    @override
    def __call__(self, source: "tuple[str, ...] | WordRow", draw: torch.Generator) -> WordRow:
        raise AssertionError


def picture(colour: int) -> Image.Image:
    return Image.new("RGB", (2, 2), COLOURS[colour])


def read(of: Reader, index: int, epoch: int = 0) -> Row:
    found = of[Ticket(index, epoch)]
    assert isinstance(found, Row), found
    return found


def said(row: Row, view: str) -> str:
    return "".join(chr(id) for id in row.texts[view].ids.tolist()).strip()


def test_a_view_takes_one_of_several_pictures() -> None:
    data = Given([Sample("s0", picture(0), (), more=(picture(1), picture(2))), Sample("s1", picture(0), ())])
    of = Reader(data, {f"v{n}": ImageView(Corner(), None, picture=n) for n in range(3)}, {}, 0)
    assert [tuple(read(of, 0).images[f"v{n}"].pixels.flatten().tolist()) for n in range(3)] == list(COLOURS)
    assert of[Ticket(1, 0)] == Skipped("s1", "has no picture 1 (it has 1, counted from 0)")


def test_a_view_takes_the_captions_of_a_role() -> None:
    roles = {"question": ("why",), "answer": ("so", "no")}
    data = Given([Sample("s0", None, ("text",), roles=roles), Sample("s1", None, ("text",))])
    of = Reader(data, {}, {"plain": TextView(First(), None), "asked": TextView(First(), None, role="question")}, 0)
    assert (said(read(of, 0), "plain"), said(read(of, 0), "asked")) == ("text", "why")
    assert of[Ticket(1, 0)] == Skipped("s1", "has no caption of the role 'question' (roles it has: none)")


def rows(*facts: Mapping[str, Fact]) -> list[Row | Skipped]:
    return [Row(f"s{place}", {}, {}, given) for place, given in enumerate(facts)]


def test_facts_are_numbers_and_vectors() -> None:
    facts: list[Mapping[str, Fact]] = [
        {"label": 2**60, "score": 0.5, "vector": (1.0, 2.0)},
        {"label": 3, "score": 2.0, "vector": (0.5, 0.0)},
    ]
    batch = collate(rows(*facts)).batch
    assert batch.facts["label"].tolist() == [2**60, 3] and batch.facts["label"].dtype == torch.int64
    assert batch.facts["score"].tolist() == [0.5, 2.0] and batch.facts["score"].dtype == torch.float32
    assert batch.facts["vector"].tolist() == [[1.0, 2.0], [0.5, 0.0]]
    halves = batch.chunk(2)
    assert halves[1].facts["vector"].shape == (1, 2)
    assert torch.equal(joined(halves).facts["vector"], batch.facts["vector"])


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        (1, 0.5, "is float, int: the dataset should give"),
        ((1.0,), (1.0, 2.0), "is tuple of 1, tuple of 2"),
        (1, True, "is bool, int"),
    ],
)
def test_facts_of_other_types_in_other_samples_are_refused(one: Fact, other: Fact, found: str) -> None:
    with pytest.raises(PluginError, match=f"the fact 'x' of samples from s0 on {found}"):
        collate(rows({"x": one}, {"x": other}))


def many(count: int = 40) -> Given:
    return Given([Sample(f"s{i}" if i % 7 else "", None, (f"t{i}",), {"group": i % 3}) for i in range(count)])


def test_a_second_sample_is_another_one_of_the_source_and_depends_on_seed_epoch_and_key() -> None:
    def seconds(seed: int = 0, epoch: int = 0) -> list[str]:
        mixture = Mixture({"a": many(), "b": Given([Sample("s0", None, ("zz",)), Sample("s1", None, ("yy",))])})
        of = Reader(mixture, {}, {"other": TextView(Other(), None)}, seed)
        return [said(read(of, index, epoch), "other") for index in range(40) if index % 7]

    found = seconds()
    own = [index for index in range(40) if index % 7]
    assert all(int(text[1:]) % 7 and int(text[1:]) % 3 != index % 3 for index, text in zip(own, found, strict=True))
    assert len(set(found)) > 15 and found == seconds()
    assert found != seconds(seed=1) and found != seconds(epoch=1)


def test_the_pictures_of_second_samples_are_not_read() -> None:
    data = Given([Sample(f"s{i}", picture(i % 3), (f"t{i}",)) for i in range(9)])
    of = Reader(data, {"clean": ImageView(Corner(), None)}, {"other": TextView(Other(), None)}, 0)
    assert read(of, 4).facts == {"matched": 0} and data.pictured == [4]


def test_where_there_is_no_other_caption_the_sample_is_bad() -> None:
    data = Given([Sample(f"s{i}", None, ("same",)) for i in range(5)])
    found = Reader(data, {}, {"other": TextView(Other(), None)}, 0)[Ticket(2, 0)]
    assert isinstance(found, Skipped) and "none has captions that are all others than its own" in found.reason


def test_a_fact_that_a_sample_has_already_is_refused() -> None:
    data = Given([Sample(f"s{i}", None, (f"t{i}",), {"matched": 1}) for i in range(5)])
    with pytest.raises(RecipeError, match=r"data.texts.other gives the fact 'matched', which samples have already"):
        Reader(data, {}, {"other": TextView(Other(), None)}, 0)[Ticket(2, 0)]

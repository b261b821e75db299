"""Zero-shot classification against a model whose answers are known."""

from collections.abc import Sequence
from typing import final

import pytest
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn
from typing_extensions import override

from mmx.errors import DataError, RecipeError
from mmx.learn.model import Model
from mmx.parts.batch import Encoded, Pixels, Words
from mmx.parts.dataset import BadSampleError, Classes, Dataset, Sample
from mmx.parts.encoder import ImageEncoder, Mode, TextEncoder
from mmx.parts.evaluator import EvalModel
from mmx.parts.fusion import Fusion
from mmx.parts.tokenizer import Tokenizer
from mmx.parts.transform import Preprocess
from mmx_zeroshot.config import ZeroShotConfig
from mmx_zeroshot.evaluator import ZeroShot

NAMES = [f"class {index}" for index in range(8)]
HOW = Preprocess(size=4, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), resize="squash")


def direction(label: float) -> Tensor:
    """Eight unit vectors in a plane, one a class; classes that are neighbours are neighbours."""
    angle = torch.tensor(label * 2 * torch.pi / 8)
    return torch.stack([angle.cos(), angle.sin()])


@final
class Reads(ImageEncoder):
    """Reads the class off the red channel: 10 times the label."""

    width = 2

    @override
    def forward(self, view: Pixels) -> Encoded:
        labels = (view.pixels[:, 0].mean(dim=(1, 2)) * 255 / 10).tolist()
        return Encoded(torch.stack([direction(label) for label in labels]))

    @override
    def blocks(self) -> list[nn.Module]:
        return []


@final
class Knows(TextEncoder):
    width = 2

    @override
    def forward(self, words: Words, context: Encoded | None = None, mode: Mode = "text") -> Encoded:
        return Encoded(torch.stack([direction(float(label)) for label in words.ids[:, 0].tolist()]))

    @override
    def blocks(self) -> list[nn.Module]:
        return []


@final
class Plain(Fusion):
    width = 2

    @override
    def embed_image(self, image: Encoded, reader: TextEncoder) -> Tensor:
        return image.pooled

    @override
    def embed_text(self, text: Encoded) -> Tensor:
        return text.pooled

    @override
    def similarity(self, images: Tensor, texts: Tensor) -> Tensor:
        return images @ texts.T

    @override
    def scale(self) -> Float[Tensor, ""]:
        return torch.tensor(1.0)


@final
class LastDigit(Tokenizer):
    vocabulary, context, pad, start, end = 10, 1, 0, 0, 0

    @override
    def encode(self, text: str) -> list[int]:
        return [int(text.rstrip("!")[-1])]

    @override
    def decode(self, ids: Sequence[int]) -> str:
        return str(ids[0])

    @override
    def __call__(self, texts: Sequence[str]) -> Words:
        ids = torch.tensor([self.encode(text) for text in texts])
        return Words(ids, torch.ones_like(ids, dtype=torch.bool))


@final
class Pictures(Dataset):
    """``seen`` is what the picture shows, ``told`` what its label says; None cannot be read."""

    def __init__(self, seen: Sequence[float | None], told: Sequence[int | None], classes: Classes | None) -> None:
        self.seen, self.told, self._classes = seen, told, classes

    @override
    def __len__(self) -> int:
        return len(self.seen)

    @override
    def key(self, index: int) -> str:
        return f"picture {index}"

    @override
    def read(self, index: int) -> Sample:
        seen = self.seen[index]
        if seen is None:
            raise BadSampleError("cannot be decoded")
        told = self.told[index]
        facts = {"group": 3} if told is None else {"label": told}
        return Sample(self.key(index), Image.new("RGB", (6, 5), (round(10 * seen), 0, 0)), (), facts)

    @override
    def classes(self) -> Classes | None:
        return self._classes


def subject() -> EvalModel:
    return EvalModel(Model(Reads(), Knows(), Plain(), HOW).eval(), LastDigit(), HOW)


def evaluator(dataset: Dataset | None, **options: object) -> ZeroShot:
    return ZeroShot(ZeroShotConfig.model_validate({"name": "zeroshot", "batch": 3, **options}), dataset)


def test_counts_what_is_right_and_says_what_chance_gives() -> None:
    data = Pictures([0, 1, 2, 3.0], [0, 1, 2, 7], Classes(NAMES))
    numbers = evaluator(data).evaluate(subject()).numbers
    assert numbers["top1"].value == pytest.approx(0.75)
    assert numbers["top1"].chance == pytest.approx(1 / 8)
    assert numbers["top5"].value == pytest.approx(1.0) or numbers["top5"].value == pytest.approx(0.75)
    assert numbers["top1"].count == 4
    assert numbers["top1"].low is not None and numbers["top1"].low < 0.75 < (numbers["top1"].high or 0)


def test_top5_leaves_out_what_is_opposite() -> None:
    # Seen as 3.1: nearest are 3, 4, 2, 5, 1; class 7 is opposite, class 1 is fifth.
    data = Pictures([3.1, 3.1], [7, 1], Classes(NAMES))
    assert evaluator(data).evaluate(subject()).numbers["top5"].value == pytest.approx(0.5)


def test_the_first_group_is_the_headline_and_others_are_ranked_apart() -> None:
    groups = {"trained": [0, 1, 2, 3, 4, 5], "unseen": [6, 7]}
    # The picture of class 7 looks like 0.4, nearer to 0 than to 7; among 6 and 7 alone it is 7.
    data = Pictures([0, 0.4], [0, 7], Classes(NAMES, groups=groups))
    result = evaluator(data).evaluate(subject())
    assert result.numbers["top1"].count == 1 and result.numbers["top1"].value == 1.0
    assert result.numbers["unseen.top1"].value == 0.0
    assert result.numbers["unseen.among_own.top1"].value == 1.0
    assert result.numbers["unseen.among_own.top1"].chance == pytest.approx(0.5)


def test_bad_pictures_are_left_out_and_counted() -> None:
    data = Pictures([0, None, 2], [0, 1, 2], Classes(NAMES))
    numbers = evaluator(data).evaluate(subject()).numbers
    assert numbers["bad_samples"].value == 1
    assert numbers["top1"].count == 2


def test_shows_the_wrong_pictures_nearest_first() -> None:
    data = Pictures([0, 1.45, 2.0, 4.3], [0, 2, 5, 5], Classes(NAMES))
    nearest = evaluator(data).evaluate(subject()).pictures["nearest_wrong"]
    assert [picture.key for picture in nearest] == ["picture 1", "picture 3", "picture 2"]
    assert nearest[0].truth == "class 2" and nearest[0].rank == 2
    assert nearest[0].guesses[0].name == "class 1"
    assert nearest[0].png.startswith(b"\x89PNG")


def test_reports_every_class() -> None:
    data = Pictures([0, 1, 2], [0, 0, 2], Classes(NAMES))
    table = evaluator(data).evaluate(subject()).tables["per_class"]
    rows = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    assert rows["class 0"]["count"] == 2 and rows["class 0"]["top1"] == 0.5
    assert rows["class 2"]["top1"] == 1.0 and rows["class 2"]["most_often"] == "class 2"


def test_names_and_templates_come_from_the_recipe_where_given() -> None:
    swapped = [NAMES[1], NAMES[0], *NAMES[2:]]
    data = Pictures([0], [1], Classes(NAMES))
    assert evaluator(data, names=swapped, templates=["{}", "{}!"]).evaluate(subject()).numbers["top1"].value == 1.0


@pytest.mark.parametrize(
    ("dataset", "options", "message"),
    [
        (None, {}, "labelled dataset"),
        (Pictures([0], [0], None), {}, "no class names"),
        (Pictures([None, 0], [0, None], Classes(NAMES)), {}, "needs the fact 'label'.* gives: group. Use"),
        (Pictures([0], [0], Classes(NAMES)), {"templates": ["a photo"]}, "a photo"),
        (Pictures([0], [0], Classes(NAMES)), {"templates": []}, "none is given"),
        (Pictures([0], [0], Classes(NAMES)), {"names": ["one"]}, "1 names, the dataset has 8"),
    ],
)
def test_says_what_a_recipe_lacks(dataset: Dataset | None, options: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        evaluator(dataset, **options)


def test_a_later_sample_without_a_label_is_named() -> None:
    with pytest.raises(DataError, match="picture 1 has no fact 'label'"):
        evaluator(Pictures([0, 1], [0, None], Classes(NAMES))).evaluate(subject())


def test_nothing_readable_is_an_error() -> None:
    with pytest.raises(DataError, match="no picture"):
        evaluator(Pictures([None], [0], Classes(NAMES))).evaluate(subject())

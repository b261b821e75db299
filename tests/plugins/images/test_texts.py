"""Captions and masked words."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, final

import pytest
import torch
from pydantic import ValidationError

from mmx.errors import RecipeError
from mmx.parts.batch import Words
from mmx.parts.dataset import BadSampleError
from mmx.parts.tokenizer import Tokenizer
from mmx.parts.transform import WordRow
from mmx_images.caption import Caption
from mmx_images.configs import CaptionConfig, MlmConfig
from mmx_images.mlm import Mlm


@final
class Letters(Tokenizer):
    """Letters a to z are 3 to 28."""

    vocabulary, context, pad, start, end = 30, 12, 0, 1, 2

    def encode(self, text: str) -> list[int]:
        return [1, *(ord(letter) - 94 for letter in text[:10]), 2]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(chr(id + 94) for id in ids if id > 2)

    def __call__(self, texts: Sequence[str]) -> Words:
        rows = [self.encode(text) for text in texts]
        ids = torch.tensor([row + [0] * (12 - len(row)) for row in rows])
        return Words(ids, torch.arange(12) < torch.tensor([len(row) for row in rows])[:, None])


def caption(**options: Any) -> Caption:
    return Caption(CaptionConfig.model_validate({"name": "caption", **options}), Letters())


def mlm(**options: Any) -> Mlm:
    return Mlm(MlmConfig.model_validate({"name": "mlm", "of": "clean", "mask": 29, **options}), Letters())


def read(row: WordRow) -> str:
    return Letters().decode([int(id) for id in row.ids])


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_captions_are_drawn_evenly() -> None:
    found = Counter(read(caption()(("a", "b", "c"), seeded(seed))) for seed in range(600))
    assert set(found) == {"a", "b", "c"} and min(found.values()) > 150


def test_the_first_caption_is_always_the_first() -> None:
    assert {read(caption(pick="first")(("a", "b"), seeded(seed))) for seed in range(20)} == {"a"}


def test_templates_are_drawn_evenly() -> None:
    found = Counter(read(caption(templates=["x{}", "{}y"])(("a",), seeded(seed))) for seed in range(200))
    assert set(found) == {"xa", "ay"} and min(found.values()) > 60


def test_a_row_has_ids_and_mask_of_one_text() -> None:
    row = caption()(("ab",), seeded(0))
    assert row.ids.tolist() == [1, 3, 4, 2] + [0] * 8
    assert row.mask.tolist() == [True] * 4 + [False] * 8


def test_no_caption_is_a_bad_sample_and_another_view_a_wrong_recipe() -> None:
    with pytest.raises(BadSampleError, match="no caption"):
        caption()((), seeded(0))
    with pytest.raises(RecipeError, match="take 'of' out"):
        caption()(caption()(("a",), seeded(0)), seeded(0))
    with pytest.raises(RecipeError, match="'mlm' masks another view"):
        mlm()(("a",), seeded(0))


def rows(made: Mlm, count: int = 2000) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    clean = caption()(("abcdefgh",), seeded(0))
    found = [made(clean, seeded(seed)) for seed in range(count)]
    labels = [row.labels for row in found if row.labels is not None]
    assert len(labels) == count
    return clean.ids, torch.stack([row.ids for row in found]), torch.stack(labels)


def test_masking_has_the_shares_of_bert() -> None:
    clean, ids, labels = rows(mlm())
    predicted = labels != -100
    assert predicted[:, 1:9].float().mean().item() == pytest.approx(0.15, abs=0.01)
    assert (labels[predicted] == clean.expand_as(labels)[predicted]).all()
    assert (ids == clean)[~predicted].all()
    fates = ids[predicted]
    assert (fates == 29).float().mean().item() == pytest.approx(0.8, abs=0.03)
    assert (fates == labels[predicted]).float().mean().item() == pytest.approx(0.1 + 0.1 / 26, abs=0.03)


def test_start_end_and_padding_are_never_predicted_nor_drawn() -> None:
    _, ids, labels = rows(mlm(share=0.9, masked=0.0, random=1.0))
    assert (labels[:, 0] == -100).all() and (labels[:, 9:] == -100).all()
    assert (ids[:, 0] == 1).all() and (ids[:, 9] == 2).all() and (ids[:, 10:] == 0).all()
    drawn = ids[labels != -100]
    assert set(drawn.tolist()) == set(range(3, 29))


def test_the_same_seed_masks_the_same() -> None:
    clean = caption()(("abcdefgh",), seeded(0))
    one, two = mlm(share=0.5)(clean, seeded(4)), mlm(share=0.5)(clean, seeded(4))
    assert torch.equal(one.ids, two.ids) and torch.equal(one.mask, clean.mask)


@pytest.mark.parametrize("mask", [0, 1, 2, 30])
def test_the_mask_id_must_be_an_ordinary_one(mask: int) -> None:
    with pytest.raises(RecipeError, match=f"mask = {mask} must be"):
        mlm(mask=mask)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"of": None}, "needs of"), ({"masked": 0.9, "random": 0.2}, "more than 1"), ({"share": 0.0}, "greater than 0")],
)
def test_options_that_cannot_be(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        mlm(**options)
    with pytest.raises(ValidationError, match=r"no {} for the caption"):
        caption(templates=["a photo"])

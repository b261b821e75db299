"""The tiny form of a recipe."""

import pytest

from mmx.plugin.manager import Plugins
from mmx.recipe import Recipe
from mmx.recipe.load import load
from mmx_verify.tiny import tiny

REGISTRIES = Plugins().registries


def form(recipe: str, *sets: str) -> Recipe:
    return tiny(load(recipe, sets, (), REGISTRIES), REGISTRIES)


@pytest.mark.parametrize(
    ("train", "expected"),
    [("full", "full"), ("frozen", "frozen"), ("last:2", "last:2"), ("last:3", "last:3"), ("last:9", "last:1")],
)
def test_a_tower_trains_no_more_blocks_than_its_tiny_form_has(train: str, expected: str) -> None:
    found = form("clip_b16", f"image_encoder.train={train}", f"text_encoder.train={train}")
    assert found.image_encoder.train == found.text_encoder.train == expected


def test_the_encoders_drop_nothing() -> None:
    found = form("clip_b16", "image_encoder.patch_dropout=0.5").image_encoder.model_dump()
    assert (found["patch_dropout"], type(found["patch_dropout"])) == (0.0, float)


@pytest.mark.parametrize(("patch", "side"), [(16, 32), (14, 112), (32, 32), (150, 150)])
def test_the_input_is_the_smallest_that_the_image_encoder_takes_or_the_own(patch: int, side: int) -> None:
    size = 224 if patch != 150 else 150
    assert form("clip_b16", f"image_encoder.patch={patch}", f"preprocess.size={size}").preprocess.size == side

"""Pixels in Pillow's own memory."""

import gc

import numpy as np
import pytest
import torch
from PIL import Image

from mmx.data.pixels import pad, pixels_of, preprocess, stretch
from mmx.data.shared import shared, whole
from mmx.parts.transform import Preprocess


def noise(width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def copied(picture: Image.Image) -> torch.Tensor:
    return torch.as_tensor(np.array(picture)).permute(2, 0, 1)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 2), (300, 200), (2200, 2000)])
def test_pixels_are_those_of_a_copy(width: int, height: int) -> None:
    picture = noise(width, height)
    assert torch.equal(shared(picture), copied(picture))


def test_a_picture_in_one_piece_is_not_copied_and_others_are() -> None:
    assert whole(shared(noise(30, 20))).shape == (4, 20, 30)
    assert whole(shared(noise(2200, 2000))).shape == (3, 2000, 2200)


def test_the_memory_lives_as_long_as_its_pixels() -> None:
    picture = noise(300, 200)
    pixels, before = shared(picture), copied(picture)
    del picture
    gc.collect()
    others = [Image.new("RGB", (300, 200), "red") for _ in range(50)]
    assert torch.equal(pixels, before) and len(others) == 50


@pytest.mark.parametrize("box", [(0, 300, 0, 200), (20, 90, 10, 60), (299, 300, 199, 200)])
def test_resizing_gives_the_pixels_that_a_copy_gives(box: tuple[int, int, int, int]) -> None:
    left, right, top, bottom = box
    cut = shared(noise(300, 200))[:, top:bottom, left:right]
    same = copied(noise(300, 200))[:, top:bottom, left:right].clone()
    assert torch.equal(stretch(cut, 24, 31), stretch(same, 24, 31)) and torch.equal(pad(cut), pad(same))


def test_a_thin_picture_takes_no_memory_that_its_size_does_not() -> None:
    how = Preprocess(32, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "crop")
    assert preprocess(noise(60_000, 1), how).shape == (3, 32, 32)  # 60,000 times 32 squared are 61 MP
    assert preprocess(noise(1, 60_000), how).shape == (3, 32, 32)
    assert torch.equal(preprocess(noise(160, 10), how), preprocess(noise(160, 10), how))


def test_the_picture_is_not_changed_by_what_is_made_of_it() -> None:
    picture = noise(40, 30)
    before = copied(picture).clone()
    stretch(pixels_of(picture), 8, 8)
    assert torch.equal(copied(picture), before)

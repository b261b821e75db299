"""Resizing: squash, crop and pad."""

import numpy as np
import pytest
import torch
from PIL import Image

from mmx.errors import RecipeError
from mmx.parts.dataset import BadSampleError
from mmx.parts.transform import PixelRow, Preprocess
from mmx_images.augment import Augment
from mmx_images.configs import AugmentConfig, EvalConfig
from mmx_images.eval import Eval


def transform(resize: str, size: int = 8) -> Eval:
    assert resize == "squash" or resize == "crop" or resize == "pad"
    return Eval(EvalConfig(name="eval"), Preprocess(size, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), resize))


def stripes(width: int, height: int) -> Image.Image:
    """Return a picture whose left half is black and whose right half is red."""
    picture = Image.new("RGB", (width, height))
    picture.paste((200, 0, 0), (width // 2, 0, width, height))
    return picture


DRAW = torch.Generator()


@pytest.mark.parametrize("resize", ["squash", "crop", "pad"])
@pytest.mark.parametrize("size", [(32, 16), (16, 32), (8, 8), (3, 5), (1, 1), (1, 300), (300, 1), (33, 47)])
def test_every_shape_becomes_a_square_of_bytes(resize: str, size: tuple[int, int]) -> None:
    row = transform(resize)(stripes(*size), DRAW)
    assert row.pixels.shape == (3, 8, 8) and row.pixels.dtype == torch.uint8


def test_squash_keeps_both_ends_and_crop_keeps_the_middle() -> None:
    squashed = transform("squash")(stripes(32, 8), DRAW).pixels
    assert squashed[0, 4, 0] == 0 and squashed[0, 4, 7] == 200
    cropped = transform("crop")(stripes(32, 8), DRAW).pixels
    assert torch.equal(cropped, torch.from_numpy(np.array(stripes(32, 8))).permute(2, 0, 1)[:, :, 12:20])


@pytest.mark.parametrize("width", range(9, 24))
def test_the_middle_is_where_torchvision_has_it(width: int) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (8, width, 3), dtype=np.uint8)
    left = round((width - 8) / 2.0)
    cropped = transform("crop")(Image.fromarray(picture), DRAW).pixels
    assert torch.equal(cropped, torch.from_numpy(picture).permute(2, 0, 1)[:, :, left : left + 8])


def test_a_picture_that_is_too_thin_for_a_square_is_bad_and_takes_no_memory() -> None:
    row = Augment(AugmentConfig(name="augment"), Preprocess(8, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "pad"))
    with pytest.raises(BadSampleError, match="too thin to be padded to a square: 300000 x 1 pixels"):
        row(Image.new("RGB", (300_000, 1)), DRAW)
    assert transform("pad")(Image.new("RGB", (300_000, 1)), DRAW).pixels.shape == (3, 8, 8)


def test_pad_is_white_around_the_middle() -> None:
    padded = transform("pad")(stripes(32, 16), DRAW).pixels
    assert padded[:, :2].eq(255).all() and padded[:, 6:].eq(255).all()
    assert padded[0, 2:6, 0].eq(0).all() and padded[1, 2:6].eq(0).all()


def test_a_picture_of_the_right_size_is_unchanged() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    for resize in ("squash", "crop", "pad"):
        row = transform(resize)(Image.fromarray(noise), DRAW)
        assert np.array_equal(row.pixels.permute(1, 2, 0).numpy(), noise)


def test_resizing_is_antialiased_and_close_to_pillows() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    found = transform("squash", 20)(noise, DRAW).pixels.permute(1, 2, 0).int()
    pillow = torch.from_numpy(np.array(noise.resize((20, 20), Image.Resampling.BICUBIC))).int()
    assert (found - pillow).abs().max() <= 1


def test_the_row_of_another_view_is_resized_too() -> None:
    row = transform("squash", 4)(transform("squash", 8)(stripes(32, 8), DRAW), DRAW)
    assert row.pixels.shape == (3, 4, 4)
    hidden = PixelRow(row.pixels, torch.ones(4, dtype=torch.bool))
    with pytest.raises(RecipeError, match="hidden patches"):
        transform("squash")(hidden, DRAW)


def test_nothing_is_drawn() -> None:
    draw = torch.Generator().manual_seed(3)
    before = draw.get_state()
    transform("crop")(stripes(20, 30), draw)
    assert torch.equal(draw.get_state(), before)

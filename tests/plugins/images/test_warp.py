from collections.abc import Mapping

import pytest
import torch
from PIL import Image, ImageDraw
from pydantic import ValidationError
from torch import Tensor

from mmx.parts.transform import Preprocess
from mmx_images.configs import WarpConfig
from mmx_images.warp import Warp

HOW = Preprocess(size=32, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), resize="pad")
STILL: Mapping[str, object] = {
    "zoom": [1.0, 1.0], "stretch": 0.0, "rotation": 0.0, "shear": 0.0, "shift": 0.0, "strength": [1.0, 1.0],
    "saturation": [1.0, 1.0], "hue": 0.0, "tint": 0.0, "light": 0.0, "grey": 0.0,
}  # fmt: skip


def drawing(side: int = 32) -> Image.Image:
    picture = Image.new("RGB", (side, side), "white")
    ImageDraw.Draw(picture).rectangle((side // 4, side // 4, side // 2 - 1, side // 2 - 1), fill=(200, 30, 60))
    return picture


def warped(options: Mapping[str, object], seed: int = 0, picture: Image.Image | None = None) -> Tensor:
    config = WarpConfig.model_validate({"name": "warp", **options})
    return Warp(config, HOW)(picture or drawing(), torch.Generator().manual_seed(seed)).pixels


def test_changes_nothing_when_nothing_is_asked_for() -> None:
    still = warped(STILL)
    assert still.dtype == torch.uint8 and still.shape == (3, 32, 32)
    assert torch.equal(still[:, 12, 12], torch.tensor([200, 30, 60], dtype=torch.uint8))
    assert torch.equal(still[:, 0, 0], torch.full((3,), 255, dtype=torch.uint8))
    assert (still != 255).any(dim=0).sum() == 64


def test_white_stays_white_under_every_colour_change() -> None:
    for seed in range(20):
        assert (warped({}, seed, Image.new("RGB", (48, 48), "white")) == 255).all()


def test_draws_only_from_the_generator() -> None:
    assert torch.equal(warped({}, 3), warped({}, 3))
    assert not torch.equal(warped({}, 3), warped({}, 4))


def test_zoom_scales_the_drawing() -> None:
    twice = warped({**STILL, "zoom": [2.0, 2.0]})
    # The square of side 8 whose corner is at the centre becomes one of side 16.
    assert abs(int((twice != 255).any(dim=0).sum()) - 256) <= 40


def test_flip_mirrors() -> None:
    assert torch.equal(warped({**STILL, "flip": 1.0}), warped(STILL).flip(2))


def test_shift_moves_by_at_most_its_share() -> None:
    still = (warped(STILL) != 255).any(dim=0).nonzero().float().mean(dim=0)
    moves = [
        ((warped({**STILL, "shift": 0.1}, seed) != 255).any(dim=0).nonzero().float().mean(dim=0) - still).abs().max()
        for seed in range(10)
    ]
    assert max(moves) > 0.5 and max(moves) <= 0.1 * 32 + 0.5


def test_grey_makes_the_channels_equal() -> None:
    grey = warped({**STILL, "grey": 1.0})
    assert (grey.float().amax(dim=0) - grey.float().amin(dim=0)).max() <= 1


def test_strength_scales_the_distance_from_white() -> None:
    half = warped({**STILL, "strength": [0.5, 0.5]})
    assert [int(value) for value in half[:, 12, 12]] == pytest.approx([228, 142, 158], abs=1)


def test_light_brightens_one_side_and_darkens_the_other() -> None:
    full = Image.new("RGB", (32, 32), (100, 100, 100))
    lit = warped({**STILL, "light": 0.5}, 1, full).float()
    assert lit.max() - lit.min() > 10


def test_a_large_picture_is_reduced_first() -> None:
    stripes = Image.new("RGB", (640, 640), "white")
    for x in range(0, 640, 4):
        ImageDraw.Draw(stripes).line((x, 0, x, 640), fill="black", width=2)
    middle = warped(STILL, 0, stripes).float()[:, 4:-4, 4:-4]
    assert middle.std() < 20, "fine stripes average to grey instead of aliasing"


@pytest.mark.parametrize("options", [{"zoom": [1.2, 0.8]}, {"zoom": [0.0, 1.0]}, {"strength": [2.0, 1.0]}])
def test_refuses_ranges_that_are_none(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="the smaller first"):
        WarpConfig.model_validate({"name": "warp", **options})

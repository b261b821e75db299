"""Augmentation: what each option does, and that only the given generator matters."""

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from torch import Tensor

from mmx.parts.transform import Preprocess
from mmx_images.augment import Augment
from mmx_images.configs import AugmentConfig

SQUASH = Preprocess(32, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "squash")
WHOLE: dict[str, Any] = {"scale": [1.0, 1.0], "ratio": [1.0, 1.0]}


def augment(preprocess: Preprocess = SQUASH, **options: Any) -> Augment:
    return Augment(AugmentConfig.model_validate({"name": "augment", **options}), preprocess)


def noise(width: int = 32, height: int = 32) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def tensor(picture: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


EVERYTHING: dict[str, Any] = {
    "scale": [0.3, 0.9], "flip": 0.5, "rotation": 20.0, "shift": 0.2, "brightness": 0.4, "contrast": 0.4,
    "saturation": 0.4, "hue": 0.2, "grey": 0.3,
}  # fmt: skip


def test_the_generator_alone_decides() -> None:
    made = augment(**EVERYTHING)
    torch.manual_seed(1)
    one = made(noise(), seeded(5)).pixels
    torch.manual_seed(2)
    before = torch.get_rng_state()
    assert torch.equal(made(noise(), seeded(5)).pixels, one)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(made(noise(), seeded(6)).pixels, one)


@pytest.mark.parametrize("resize", ["squash", "crop", "pad"])
@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 50), (50, 1), (31, 33), (40, 20)])
def test_every_shape_becomes_a_square_of_bytes(resize: Any, size: tuple[int, int]) -> None:
    preprocess = Preprocess(16, SQUASH.mean, SQUASH.std, resize)
    for seed in range(5):
        row = augment(preprocess, **EVERYTHING)(noise(*size), seeded(seed))
        assert row.pixels.shape == (3, 16, 16) and row.pixels.dtype == torch.uint8


def test_a_full_crop_with_all_else_off_changes_nothing() -> None:
    assert torch.equal(augment(**WHOLE)(noise(), seeded()).pixels, tensor(noise()))


def test_squash_crops_relative_to_the_pictures_own_shape() -> None:
    wide = noise(64, 32)
    made = augment(**WHOLE)(wide, seeded()).pixels
    assert (made.int() - tensor(wide.resize((32, 32), Image.Resampling.BICUBIC)).int()).abs().max() <= 1


def test_a_crop_that_cannot_fit_is_the_largest_in_the_middle() -> None:
    crop = Preprocess(32, SQUASH.mean, SQUASH.std, "crop")
    wide = noise(96, 32)
    made = augment(crop, **WHOLE)(wide, seeded()).pixels
    assert torch.equal(made, tensor(wide)[:, :, 32:64])


def test_a_square_is_the_largest_one_at_any_place() -> None:
    crop = Preprocess(32, SQUASH.mean, SQUASH.std, "crop")
    for picture, axis in ((noise(48, 32), 2), (noise(32, 48), 1)):
        squares = [tensor(picture).narrow(axis, start, 32) for start in range(17)]
        rows = [augment(crop, crop="square")(picture, seeded(seed)).pixels for seed in range(60)]
        found = {next(start for start in range(17) if torch.equal(squares[start], row)) for row in rows}
        assert len(found) > 10


def test_crops_have_the_areas_that_were_asked_for() -> None:
    sides = torch.arange(256).repeat(256, 1)
    gradient = torch.stack([sides, sides.T, sides * 0], dim=2).byte()
    made, areas = augment(scale=[0.25, 0.5], ratio=[0.5, 2.0]), list[float]()
    for seed in range(100):
        pixels = made(Image.fromarray(gradient.numpy()), seeded(seed)).pixels.float()
        width, height = (pixels[channel].max() - pixels[channel].min() for channel in (0, 1))
        areas.append(((width + 8) * (height + 8) / 256**2).item())
    assert 0.2 < min(areas) < 0.3 and 0.4 < max(areas) < 0.56


def test_flip_mirrors_with_its_probability() -> None:
    made, whole = augment(**WHOLE, flip=0.25), tensor(noise())
    found = [made(noise(), seeded(seed)).pixels for seed in range(400)]
    mirrored = sum(torch.equal(pixels, whole.flip(2)) for pixels in found)
    assert mirrored + sum(torch.equal(pixels, whole) for pixels in found) == 400
    assert 70 < mirrored < 130


def test_shift_moves_and_repeats_edges() -> None:
    picture = Image.new("RGB", (32, 32), (10, 20, 30))
    picture.paste((200, 100, 50), (12, 12, 20, 20))
    moved = [augment(**WHOLE, shift=0.25)(picture, seeded(seed)).pixels for seed in range(40)]
    centres = torch.stack([(pixels[0] > 100).nonzero().float().mean(dim=0) - 15.5 for pixels in moved])
    assert centres.abs().max() <= 8.5 and centres.std(dim=0).min() > 2
    assert all(pixels[:, 0, 0].tolist() == [10, 20, 30] for pixels in moved)


def test_rotation_turns_about_the_centre() -> None:
    picture = Image.new("RGB", (32, 32))
    picture.paste((255, 255, 255), (26, 14, 30, 18))  # right of the centre
    angles = list[float]()
    for seed in range(40):
        y, x = (augment(**WHOLE, rotation=45.0)(picture, seeded(seed)).pixels[0] > 100).nonzero().float().mean(
            dim=0
        ) - 15.5
        assert torch.hypot(x, y).item() == pytest.approx(12, abs=1)
        angles.append(torch.rad2deg(torch.atan2(y, x)).item())
    assert -47 < min(angles) < -25 and 25 < max(angles) < 47


def test_grey_makes_the_channels_equal_to_luma() -> None:
    pixels = augment(**WHOLE, grey=1.0)(noise(), seeded()).pixels
    assert torch.equal(pixels[0], pixels[1]) and torch.equal(pixels[1], pixels[2])
    assert (pixels[0].int() - tensor(noise().convert("L").convert("RGB"))[0].int()).abs().max() <= 1


def test_brightness_is_a_factor() -> None:
    picture = Image.new("RGB", (32, 32), (100, 50, 200))
    found = torch.stack(
        [augment(**WHOLE, brightness=0.2)(picture, seeded(seed)).pixels[:, 0, 0] for seed in range(60)]
    ).float()
    factors = found[:, 0] / 100
    assert 0.79 < factors.min() < 0.85 and 1.15 < factors.max() < 1.21
    assert ((found[:, 1] / 50 - factors).abs() < 0.02).all()


def test_contrast_keeps_the_mean_grey() -> None:
    mild = Image.fromarray((np.array(noise()) // 2 + 64).astype(np.uint8))
    weights = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    spreads = list[float]()
    for seed in range(30):
        pixels = augment(**WHOLE, contrast=0.4)(mild, seeded(seed)).pixels.float()
        assert (pixels * weights).sum(0).mean().item() == pytest.approx(
            (tensor(mild) * weights).sum(0).mean().item(), abs=0.5
        )
        spreads.append((pixels.std() / tensor(mild).float().std()).item())
    assert 0.59 < min(spreads) < 0.7 and 1.3 < max(spreads) < 1.41


def test_hue_and_saturation_leave_grey_pictures_alone() -> None:
    grey = noise().convert("L").convert("RGB")
    made = augment(**WHOLE, saturation=0.5, hue=0.5)
    assert all(torch.equal(made(grey, seeded(seed)).pixels, tensor(grey)) for seed in range(10))


def test_hue_turns_red_through_the_circle() -> None:
    picture = Image.new("RGB", (32, 32), (160, 40, 40))
    found = [augment(**WHOLE, hue=0.5)(picture, seeded(seed)).pixels[:, 0, 0].tolist() for seed in range(200)]
    assert all(abs(sum(colour) - 240) <= 2 for colour in found)
    assert {colour.index(max(colour)) for colour in found} == {0, 1, 2}


def test_jitter_leaves_its_share_alone() -> None:
    made = augment(**WHOLE, jitter=0.3, brightness=0.5)
    kept = sum(torch.equal(made(noise(), seeded(seed)).pixels, tensor(noise())) for seed in range(300))
    assert 170 < kept < 250


@pytest.mark.parametrize(
    "options", [{"scale": [0.9, 0.5]}, {"scale": [0.0, 1.0]}, {"ratio": [2.0, 1.0]}, {"flip": 1.5}, {"hue": 0.6}]
)
def test_options_that_cannot_be(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        augment(**options)

"""The transform on a white picture, where the square can be counted."""

import pytest
import torch
from PIL import Image

from mmx.parts.transform import Preprocess
from mmx_scaffold.templates.image_transform.config import ThisPartConfig
from mmx_scaffold.templates.image_transform.transform import ThisPart

WHITE = Image.new("RGB", (40, 40), "white")


def rows(side: float, seed: int) -> torch.Tensor:
    how = Preprocess(size=20, mean=(0.2, 0.4, 0.6), std=(1.0, 1.0, 1.0), resize="squash")
    transform = ThisPart(ThisPartConfig(name="part", side=side), how)
    return transform(WHITE, torch.Generator().manual_seed(seed)).pixels


@pytest.mark.parametrize("seed", range(5))
def test_one_square_of_the_mean_colour(seed: int) -> None:
    pixels = rows(0.3, seed)
    gone = (pixels != 255).all(dim=0)
    lines, columns = gone.any(dim=1).nonzero().flatten(), gone.any(dim=0).nonzero().flatten()
    assert len(lines) == len(columns) == 6 and int(gone.sum()) == 36
    assert pixels[:, lines[0], columns[0]].tolist() == [51, 102, 153]


def test_places_differ_and_none_is_cut_with_side_0() -> None:
    assert len({rows(0.3, seed).numpy().tobytes() for seed in range(20)}) > 10
    assert bool((rows(0.0, 0) == 255).all())

"""The tower's block against its formula, written out at one place of the picture."""

import pytest
import torch
from torch.nn import functional

from mmx.errors import RecipeError
from mmx.parts.batch import Pixels
from mmx.parts.sizes import Sizes
from mmx_scaffold.templates.image_encoder.config import ThisPartConfig
from mmx_scaffold.templates.image_encoder.encoder import Block, ThisPart

SIZES = Sizes(image=32, vocabulary=128, context=16, pad=0, start=1, end=2)


def test_block() -> None:
    torch.manual_seed(0)
    block, x = Block(4), torch.randn(1, 4, 5, 5)
    window = x[0, :, 1:4, 2:5]  # the neighbours of the place (2, 3)
    assert block.near.bias is not None
    near = torch.stack([(window[f] * block.near.weight[f, 0]).sum() + block.near.bias[f] for f in range(4)])
    normed = (near - near.mean()) / (near.var(unbiased=False) + 1e-5).sqrt()
    hidden = functional.gelu(block.rise.weight @ normed + block.rise.bias)
    expected = x[0, :, 2, 3] + block.fall.weight @ hidden + block.fall.bias
    torch.testing.assert_close(block(x)[0, :, 2, 3], expected)


def test_what_it_returns() -> None:
    tower = ThisPart(ThisPartConfig(name="part").tiny(), SIZES)
    found = tower(Pixels(torch.randn(2, 3, 32, 32)))
    assert found.tokens is not None and found.tokens.shape == (2, 64, 16)
    torch.testing.assert_close(found.pooled, found.tokens.mean(dim=1))


def test_a_patch_that_does_not_fit() -> None:
    with pytest.raises(RecipeError, match="patch = 5 does not divide the image size 32"):
        ThisPart(ThisPartConfig(name="part", patch=5), SIZES)

"""The fusion against its formula, written out for one picture and one text."""

from typing import cast

import pytest
import torch

from mmx.parts.batch import Encoded
from mmx.parts.encoder import TextEncoder
from mmx.parts.sizes import Sizes
from mmx_scaffold.templates.fusion.config import ThisPartConfig
from mmx_scaffold.templates.fusion.fusion import ThisPart

SIZES = Sizes(32, 128, 16, 0, 1, 2, image_width=6, text_width=5)
NO_READER = cast(TextEncoder, None)  # this fusion does not read it


def fusion(temperature: float) -> ThisPart:
    torch.manual_seed(0)
    config = ThisPartConfig(name="part", width=4, temperature=temperature)
    return ThisPart(config, SIZES)


@torch.no_grad()
def test_similarity() -> None:
    part = fusion(temperature=0.07)
    image, text = torch.randn(6), torch.randn(5)
    x, y = part.image.weight @ image + part.image.bias, part.text.weight @ text + part.text.bias
    expected = sum(a * b for a, b in zip(x, y, strict=True)) / (sum(x**2) * sum(y**2)) ** 0.5
    pictures = part.embed_image(Encoded(image[None]), NO_READER)
    found = part.similarity(pictures, part.embed_text(Encoded(text[None])))
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


def test_temperature() -> None:
    part = fusion(temperature=0.2)
    assert part.scale().item() == pytest.approx(5.0)
    part.logit_scale.data.fill_(9.0)
    part.clamp()
    assert part.scale().item() == pytest.approx(100.0)

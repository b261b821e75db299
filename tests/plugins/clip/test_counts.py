"""Published parameter counts, on the meta device."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from mmx.parts.encoder import ImageEncoder
from mmx.parts.sizes import Sizes
from mmx_clip.configs import ModifiedResNetConfig, ProjectionConfig, TextTransformerConfig, VitConfig
from mmx_clip.projection import Projection
from mmx_clip.resnet import ModifiedResNet
from mmx_clip.text import TextTransformer
from mmx_clip.vit import Vit

SIZES = Sizes(image=224, vocabulary=49_408, context=77, pad=0, start=49_406, end=49_407)
SMALL = TextTransformerConfig(name="transformer")
LARGE = TextTransformerConfig(name="transformer", width=768, heads=12)
B32, B16 = VitConfig(name="vit", patch=32), VitConfig(name="vit")
L14 = VitConfig(name="vit", patch=14, width=1024, layers=24, heads=16)
RN50 = ModifiedResNetConfig(name="modified_resnet")


def count(*modules: nn.Module) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def tower(config: VitConfig | ModifiedResNetConfig) -> ImageEncoder:
    return Vit(config, SIZES) if isinstance(config, VitConfig) else ModifiedResNet(config, SIZES)


@pytest.mark.parametrize(
    ("image", "text", "width", "total"),
    [
        (B32, SMALL, 512, 151_277_313),
        (B16, SMALL, 512, 149_620_737),
        (L14, LARGE, 768, 427_616_513),
        (RN50, SMALL, 1024, 102_007_137),
    ],
)
def test_published_counts(
    image: VitConfig | ModifiedResNetConfig, text: TextTransformerConfig, width: int, total: int
) -> None:
    with torch.device("meta"):
        images, texts = tower(image), TextTransformer(text, SIZES)
        sizes = replace(SIZES, image_width=images.width, text_width=texts.width)
        config = ProjectionConfig(name="projection", width=width, project_image=image is not RN50)
        assert count(images, texts, Projection(config, sizes)) == total


def test_the_visual_tower_of_rn50_ends_in_its_own_projection() -> None:
    with torch.device("meta"):
        images = tower(RN50)
    assert (count(images), images.width) == (38_316_896, 1024)


@pytest.mark.parametrize(
    "config", [B16.tiny(), RN50.tiny(), ModifiedResNetConfig(name="x", block="basic", pool="mean").tiny()]
)
def test_blocks_hold_every_parameter_once(config: VitConfig | ModifiedResNetConfig) -> None:
    made = tower(config)
    assert count(*made.blocks()) == count(made)
    assert {id(value) for value in nn.ModuleList(made.blocks()).parameters()} == {
        id(value) for value in made.parameters()
    }


def test_the_last_block_of_a_transformer_includes_its_norm() -> None:
    made = Vit(B16.tiny(), SIZES)
    last = {id(value) for value in made.blocks()[-1].parameters()}
    assert {id(value) for value in made.norm.parameters()} < last
    assert len(made.blocks()) == 1 + B16.tiny().layers

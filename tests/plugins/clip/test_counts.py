"""Published parameter counts, on the meta device."""

from dataclasses import dataclass, replace

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


def vit(patch: int, width: int = 768, layers: int = 12, heads: int = 12, ratio: float = 4.0) -> VitConfig:
    return VitConfig(name="vit", patch=patch, width=width, layers=layers, heads=heads, mlp_ratio=ratio)


def resnet(blocks: tuple[int, ...], width: int, heads: int, output: int) -> ModifiedResNetConfig:
    return ModifiedResNetConfig(name="modified_resnet", blocks=blocks, width=width, heads=heads, output=output)


def words(width: int, layers: int = 12) -> TextTransformerConfig:
    return TextTransformerConfig(name="transformer", width=width, layers=layers, heads=width // 64)


@dataclass(frozen=True)
class Published:
    """A published model: its towers, the side of its image, the shared width, and its parameters, whole and image."""

    image: VitConfig | ModifiedResNetConfig
    text: TextTransformerConfig
    width: int
    total: int
    visual: int
    side: int = 224


B16, RN50 = VitConfig(name="vit"), ModifiedResNetConfig(name="modified_resnet")
L14 = vit(14, 1024, 24, 16)
PUBLISHED = {
    "B/32": Published(vit(32), words(512), 512, 151_277_313, 87_849_216),
    "B/16": Published(B16, words(512), 512, 149_620_737, 86_192_640),
    "L/14": Published(L14, words(768), 768, 427_616_513, 303_966_208),
    "L/14-336": Published(L14, words(768), 768, 427_944_193, 304_293_888, side=336),
    "H/14": Published(vit(14, 1280, 32, 16), words(1024, 24), 1024, 986_109_441, 632_076_800),
    "g/14": Published(vit(14, 1408, 40, 16, 4.3637), words(1024, 24), 1024, 1_366_678_273, 1_012_645_632),
    "bigG/14": Published(vit(14, 1664, 48, 16, 4.9231), words(1280, 32), 1280, 2_539_567_105, 1_844_907_264),
    "RN50": Published(RN50, words(512), 1024, 102_007_137, 38_316_896),
    "RN101": Published(resnet((3, 4, 23, 3), 64, 32, 512), words(512), 512, 119_688_033, 56_259_936),
    "RN50x4": Published(resnet((4, 6, 10, 6), 80, 40, 640), words(640), 640, 178_300_601, 87_137_080, side=288),
    "RN50x16": Published(resnet((6, 8, 18, 8), 96, 48, 768), words(768), 768, 290_979_217, 167_328_912, side=384),
    "RN50x64": Published(resnet((3, 15, 36, 10), 128, 64, 1024), words(1024), 1024, 623_258_305, 420_380_352, side=448),
}


def count(*modules: nn.Module) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def tower(config: VitConfig | ModifiedResNetConfig, side: int = 224) -> ImageEncoder:
    sizes = replace(SIZES, image=side)
    return Vit(config, sizes) if isinstance(config, VitConfig) else ModifiedResNet(config, sizes)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_counts(name: str) -> None:
    model = PUBLISHED[name]
    projected = isinstance(model.image, VitConfig)
    with torch.device("meta"):
        images, texts = tower(model.image, model.side), TextTransformer(model.text, SIZES)
        sizes = replace(SIZES, image_width=images.width, text_width=texts.width)
        fusion = Projection(ProjectionConfig(name="projection", width=model.width, project_image=projected), sizes)
    assert count(images, texts, fusion) == model.total
    assert count(images, fusion.image) == model.visual  # the peers count the projection with the tower


def test_so400m_is_reached_by_options_alone() -> None:
    width, hidden, layers = 1152, 4304, 27
    with torch.device("meta"):
        made = tower(vit(14, width, layers, 16, ratio=3.7362))
        assert isinstance(made, Vit)
    attention = 4 * width**2 + 4 * width
    mlp = 2 * width * hidden + hidden + width
    norms = 2 * 2 * width
    assert count(made.layers) == layers * (attention + mlp + norms)


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

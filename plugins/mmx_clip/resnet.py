"""CLIP's modified ResNet, and small relatives of it."""

from typing import TYPE_CHECKING, final

from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override

from mmx.errors import RecipeError
from mmx.parts.batch import Encoded, Pixels
from mmx.parts.encoder import ImageEncoder
from mmx.parts.sizes import Sizes
from mmx_clip.configs import ModifiedResNetConfig
from mmx_clip.pool import AttentionPool, MeanPool


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    """Return a convolution that keeps the size, without bias, and its BatchNorm."""
    return [nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False), nn.BatchNorm2d(outputs)]


def shrink(stride: int) -> list[nn.Module]:
    """Return the average pool that stands for a stride (anti-aliasing), nothing for a stride of 1."""
    return [nn.AvgPool2d(stride)] if stride > 1 else []


@final
class Residual(nn.Module):
    """``relu(body(x) + side(x))``; strides are average pools, and the body's last gain starts at 0."""

    def __init__(self, body: list[nn.Module], side: list[nn.Module]) -> None:
        super().__init__()
        self.body = nn.Sequential(*body)
        self.side = nn.Sequential(*side)
        self.relu = nn.ReLU()
        last = body[-1]
        assert isinstance(last, nn.BatchNorm2d)
        nn.init.zeros_(last.weight)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k i j"]:
        """Return the feature map after this block."""
        return self.relu(self.body(x) + self.side(x))

    if TYPE_CHECKING:
        __call__ = forward


def bottleneck(inputs: int, width: int, stride: int) -> Residual:
    """Return a block of 1x1, 3x3 and 1x1 convolutions that ends four times as wide."""
    body = [*convolution(inputs, width, 1), nn.ReLU(), *convolution(width, width, 3), nn.ReLU()]
    body += [*shrink(stride), *convolution(width, 4 * width, 1)]
    return Residual(body, _side(inputs, 4 * width, stride))


def basic(inputs: int, width: int, stride: int) -> Residual:
    """Return a block of two 3x3 convolutions, both after the pool: a quarter of the work where it shrinks by 2."""
    body = [*shrink(stride), *convolution(inputs, width, 3), nn.ReLU(), *convolution(width, width, 3)]
    return Residual(body, _side(inputs, width, stride))


def _side(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    same = stride == 1 and inputs == outputs
    return [] if same else [*shrink(stride), *convolution(inputs, outputs, 1)]


def stem(config: ModifiedResNetConfig) -> nn.Sequential:
    """Return the first layers: one or three convolutions, the first with stride, and a pool where the stride is 4."""
    stride = min(config.stem_stride, 2)
    half = config.width // 2
    if config.stem == "single":
        layers = [*convolution(3, half, 3, stride), nn.ReLU()]
    else:
        layers = [*convolution(3, half, 3, stride), nn.ReLU(), *convolution(half, half, 3), nn.ReLU()]
        layers += [*convolution(half, config.width, 3), nn.ReLU()]
    return nn.Sequential(*layers, *shrink(config.stem_stride // stride))


@final
class ModifiedResNet(ImageEncoder):
    """The ResNet of CLIP: three-convolution stem, average pools for strides, attention pool.

    The attention pool ends in the map to ``config.output``, which is CLIP's image projection: use it with a fusion
    that does not project the image again. With the mean pool, tokens are the positions of the feature map; the
    attention pool gives none.

    Raises:
        RecipeError: the image is not a multiple of all strides together.
    """

    def __init__(self, config: ModifiedResNetConfig, sizes: Sizes) -> None:
        super().__init__()
        side = _side_of_map(config, sizes.image)
        make, expansion = (bottleneck, 4) if config.block == "bottleneck" else (basic, 1)
        self.stem = stem(config)
        self.layers = nn.Sequential()
        inputs, width = (config.width if config.stem == "clip" else config.width // 2), config.width
        for count, stride in zip(config.blocks, config.strides, strict=True):
            for index in range(count):
                self.layers.append(make(inputs, width, stride if index == 0 else 1))
                inputs = expansion * width
            width *= 2
        attention = config.pool == "attention"
        self.pool = AttentionPool(inputs, side, config.heads, config.output) if attention else MeanPool()
        self.width = config.output if attention else inputs

    @override
    def forward(self, view: Pixels) -> Encoded:
        if view.hidden is not None:
            raise RecipeError("the image encoder 'modified_resnet' cannot read a view with hidden patches")
        return self.pool(self.layers(self.stem(view.pixels)))

    @override
    def blocks(self) -> list[nn.Module]:
        *layers, last = self.layers
        return [self.stem, *layers, nn.ModuleList([last, self.pool])]


def _side_of_map(config: ModifiedResNetConfig, image: int) -> int:
    total = config.stem_stride
    for stride in config.strides:
        total *= stride
    if image % total:
        raise RecipeError(
            f"image_encoder: the strides multiply to {total}, which does not divide the image size {image}; "
            f"use a multiple of {total}, or smaller strides"
        )
    return image // total

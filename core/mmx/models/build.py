"""From a recipe's tables to a model: towers, fusion, tokenizer, preprocessing."""

from dataclasses import dataclass, replace
from typing import Any, Protocol, cast

import torch
from torch import nn

from mmx.config import (
    EncoderConfig,
    PartConfig,
)
from mmx.errors import RecipeError
from mmx.learn.model import Model
from mmx.parts.encoder import ImageEncoder, TextEncoder
from mmx.parts.fusion import Fusion
from mmx.parts.sizes import Sizes
from mmx.parts.tokenizer import Tokenizer
from mmx.parts.transform import Preprocess
from mmx.plugin.registry import Registries
from mmx.recipe.schema import PreprocessTable

EMA = "ema"
"""The teacher that ``train.ema`` makes; evaluation uses it where it is there."""


class ModelParts(Protocol):
    """The tables of a recipe that describe the model."""

    @property
    def image_encoder(self) -> EncoderConfig:
        """The image tower."""
        ...

    @property
    def text_encoder(self) -> EncoderConfig:
        """The text tower."""
        ...

    @property
    def fusion(self) -> PartConfig:
        """The fusion strategy."""
        ...

    @property
    def tokenizer(self) -> PartConfig:
        """The tokenizer."""
        ...

    @property
    def preprocess(self) -> PreprocessTable:
        """How pictures become pixels."""
        ...


@dataclass(frozen=True)
class Reading:
    """What turns pictures and texts into the model's input."""

    tokenizer: Tokenizer
    preprocess: Preprocess


def reading(recipe: ModelParts, registries: Registries) -> Reading:
    """Build the tokenizer and the preprocessing."""
    table = recipe.preprocess
    return Reading(
        cast(Tokenizer, registries.build("tokenizer", recipe.tokenizer)),
        Preprocess(size=table.size, mean=table.mean, std=table.std, resize=table.resize),
    )


def model_of(recipe: ModelParts, registries: Registries, read: Reading) -> tuple[Model, Sizes]:
    """Build the model on torch's default device, with the sizes that losses need."""
    sizes = sizes_of(read)
    image = image_encoder_of(recipe, registries, sizes)
    text = text_encoder_of(recipe, registries, replace(sizes, image_width=image.width))
    return joined(recipe, registries, read, image, text)


def sizes_of(read: Reading) -> Sizes:
    """Return the sizes that are known before there is an encoder."""
    tokens = read.tokenizer
    return Sizes(
        read.preprocess.size,
        tokens.vocabulary,
        tokens.context,
        tokens.pad,
        tokens.start,
        tokens.end,
        mask=tokens.mask,
    )


def image_encoder_of(recipe: ModelParts, registries: Registries, sizes: Sizes) -> ImageEncoder:
    """Build the image tower."""
    return cast(ImageEncoder, registries.build("image_encoder", recipe.image_encoder, sizes))


def text_encoder_of(recipe: ModelParts, registries: Registries, sizes: Sizes) -> TextEncoder:
    """Build the text tower."""
    return cast(TextEncoder, registries.build("text_encoder", recipe.text_encoder, sizes))


def joined(
    recipe: ModelParts, registries: Registries, read: Reading, image: ImageEncoder, text: TextEncoder
) -> tuple[Model, Sizes]:
    """Join two towers into a model, and freeze what the recipe does not train."""
    sizes = replace(sizes_of(read), image_width=image.width, text_width=text.width)
    fusion = cast(Fusion, registries.build("fusion", recipe.fusion, sizes))
    model = Model(image, text, fusion, read.preprocess)
    for name, config in (("image_encoder", recipe.image_encoder), ("text_encoder", recipe.text_encoder)):
        _freeze(model, getattr(model, name), config, name)
    return model, replace(sizes, embed=fusion.width, joint=fusion.joint_width)


def _freeze(model: Model, tower: Any, config: EncoderConfig, name: str) -> None:
    blocks = cast("list[nn.Module]", tower.blocks())
    if config.train == "frozen":
        model.freeze([tower])
    elif config.train.startswith("last:"):
        last = int(config.train.removeprefix("last:"))
        if last > len(blocks):
            raise RecipeError(f'{name}.train = "{config.train}", but the tower has {len(blocks)} blocks; use "full"')
        model.freeze(blocks[: len(blocks) - last])


def parameters_of(module: nn.Module) -> tuple[int, int]:
    """Return the number of parameters, and of those trained."""
    sizes = [(p.numel(), p.requires_grad) for p in module.parameters()]
    return sum(size for size, _ in sizes), sum(size for size, trained in sizes if trained)


def meta() -> torch.device:
    """Return the device on which parameters have shapes and no memory."""
    return torch.device("meta")

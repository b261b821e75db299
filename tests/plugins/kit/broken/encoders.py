"""Broken image encoders: each is the unbroken twin with one method changed."""

from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from broken.table import Broken, Twin, broken, twins
from mmx.config import EncoderConfig
from mmx.parts.batch import Encoded, Pixels
from mmx.parts.encoder import ImageEncoder
from mmx.parts.sizes import Sizes

PATCH = 16


class Patches(nn.Module):
    def __init__(self, sizes: Sizes, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(3 * PATCH**2, width)
        self.position = nn.Parameter(torch.randn((sizes.image // PATCH) ** 2, width))

    @override
    def forward(self, pixels: Tensor) -> Tensor:
        cut = pixels.unfold(2, PATCH, PATCH).unfold(3, PATCH, PATCH)
        return self.linear(cut.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)) + self.position


class Tower(ImageEncoder):
    """The twin: patches, a mix of each with the mean, dropout, a norm."""

    width = 8

    def __init__(self, config: EncoderConfig, sizes: Sizes) -> None:
        super().__init__()
        self.patches = Patches(sizes, 8)
        self.mix = nn.Linear(8, 8)
        self.norm = nn.LayerNorm(8)
        self.drop = nn.Dropout(0.2)

    @override
    def forward(self, view: Pixels) -> Encoded:
        return self.encoded(self.middle(self.patches(view.pixels)))

    def middle(self, tokens: Tensor) -> Tensor:
        return self.norm(self.drop(torch.tanh(self.mix(tokens + tokens.mean(1, keepdim=True)))))

    def encoded(self, tokens: Tensor) -> Encoded:
        return Encoded(tokens.mean(1), tokens)

    @override
    def blocks(self) -> list[nn.Module]:
        return [self.patches, nn.ModuleList([self.mix, self.norm])]


class Batched(Tower):
    """A twin with BatchNorm, for which layouts cannot be exact."""

    def __init__(self, config: EncoderConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.norm = nn.BatchNorm1d(4)


class TransposedTokens(Tower):
    @override
    def encoded(self, tokens: Tensor) -> Encoded:
        return Encoded(tokens.mean(1), tokens.mT)


class HardFloat(Tower):
    @override
    def encoded(self, tokens: Tensor) -> Encoded:
        return Encoded(tokens.float().mean(1), tokens)


class WrongWidth(Tower):
    width = 16


class NoPooled(Tower):
    @override
    def encoded(self, tokens: Tensor) -> Any:
        return Encoded(None, tokens)  # pyright: ignore[reportArgumentType]


class BlocksMissPosition(Tower):
    @override
    def blocks(self) -> list[nn.Module]:
        return [self.patches.linear, self.mix, self.norm]


class BlocksOverlap(Tower):
    @override
    def blocks(self) -> list[nn.Module]:
        return [self, self.mix]


class CentredOverRows(Tower):
    @override
    def middle(self, tokens: Tensor) -> Tensor:
        return super().middle(tokens - tokens.mean(0))


class RowsTurned(Tower):
    @override
    def encoded(self, tokens: Tensor) -> Encoded:
        return Encoded(tokens.mean(1).flip(0), tokens)


class OwnGenerator(Tower):
    def __init__(self, config: EncoderConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.draw = torch.Generator().manual_seed(0)

    @override
    def middle(self, tokens: Tensor) -> Tensor:
        if self.training:
            tokens = tokens * (torch.rand(tokens.shape, generator=self.draw) > 0.3)
        return super().middle(tokens)


class NumpyWeights(Tower):
    def __init__(self, config: EncoderConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        drawn = np.random.default_rng().normal(size=(8, 8)).astype(np.float32)
        self.mix.weight.data = torch.from_numpy(drawn)


class DropsInEvaluation(Tower):
    @override
    def middle(self, tokens: Tensor) -> Tensor:
        return super().middle(functional.dropout(tokens, 0.2, training=True))


class MovingMeanInAttribute(Tower):
    def __init__(self, config: EncoderConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.mean = torch.zeros(8)

    @override
    def middle(self, tokens: Tensor) -> Tensor:
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * tokens.detach().mean((0, 1))
        return super().middle(tokens - self.mean)


class RandomFeaturesNotSaved(Tower):
    features: Tensor

    def __init__(self, config: EncoderConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.register_buffer("features", torch.randn(8, 8), persistent=False)

    @override
    def middle(self, tokens: Tensor) -> Tensor:
        return super().middle(tokens @ self.features)


class SavesMoreThanTensors(Tower):
    @override
    def get_extra_state(self) -> Any:
        return {"version": 3}

    @override
    def set_extra_state(self, state: Any) -> None:
        pass


class NormalisesInPlace(Tower):
    @override
    def forward(self, view: Pixels) -> Encoded:
        view.pixels.mul_(0.5)
        return super().forward(view)


TWINS: Final[tuple[Twin, ...]] = tuple(twins("image_encoder", EncoderConfig, Tower, Batched))
BROKEN: Final[tuple[Broken, ...]] = tuple(
    broken(
        "image_encoder",
        EncoderConfig,
        {
            "shapes": (TransposedTokens, HardFloat, WrongWidth, NoPooled),
            "blocks": (BlocksMissPosition, BlocksOverlap),
            "rows": (CentredOverRows, RowsTurned),
            "determinism": (OwnGenerator, NumpyWeights, DropsInEvaluation),
            "state": (MovingMeanInAttribute, RandomFeaturesNotSaved, SavesMoreThanTensors),
            "inputs": (NormalisesInPlace,),
        },
    )
)

"""Two towers of three blocks."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override

from mmx.parts.batch import Encoded, Pixels, Words
from mmx.parts.encoder import ImageEncoder, Mode, TextEncoder
from mmx.parts.sizes import Sizes
from mmx_toy.configs import Tower


@final
class Block(nn.Module):
    """A layer with dropout, and BatchNorm if asked for."""

    def __init__(self, inputs: int, config: Tower, batch_norm: bool = False) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, config.width)
        self.norm = nn.BatchNorm1d(config.width) if batch_norm else nn.Identity()
        self.drop = nn.Dropout(config.dropout)

    @override
    def forward(self, x: Float[Tensor, "b n"]) -> Float[Tensor, "b w"]:
        return self.drop(torch.tanh(self.norm(self.linear(x))))


@final
class ToyImages(ImageEncoder):
    """Sees the whole picture at once."""

    def __init__(self, config: Tower, sizes: Sizes) -> None:
        super().__init__()
        self.width = config.width
        self.first = Block(3 * sizes.image**2, config)
        self.middle = Block(config.width, config, config.batch_norm)
        self.last = Block(config.width, config)

    @override
    def forward(self, view: Pixels) -> Encoded:
        return Encoded(self.last(self.middle(self.first(view.pixels.flatten(1)))))

    @override
    def blocks(self) -> list[nn.Module]:
        return [self.first, self.middle, self.last]


@final
class ToyTexts(TextEncoder):
    """Sees the mean of its letters."""

    def __init__(self, config: Tower, sizes: Sizes) -> None:
        super().__init__()
        self.width = config.width
        self.letters = nn.Embedding(sizes.vocabulary, config.width)
        self.middle = Block(config.width, config, config.batch_norm)
        self.last = Block(config.width, config)

    @override
    def forward(self, words: Words, context: Encoded | None = None, mode: Mode = "text") -> Encoded:
        mask = words.mask.unsqueeze(-1)
        mean = (self.letters(words.ids) * mask).sum(1) / mask.sum(1)
        return Encoded(self.last(self.middle(mean)))

    @override
    def blocks(self) -> list[nn.Module]:
        return [self.letters, self.middle, self.last]

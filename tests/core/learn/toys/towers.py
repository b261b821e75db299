"""Tiny towers: an image tower over patches, and a text tower that may read an image's tokens."""

from typing import final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from typing_extensions import override

from mmx.parts.batch import Encoded, Pixels, Words
from mmx.parts.encoder import ImageEncoder, Mode, TextEncoder
from toys.data import LENGTH, PATCH, PATCHES, VOCABULARY

WIDTH = 8


@final
class Attention(nn.Module):
    """One head of attention, added to what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(WIDTH, WIDTH, bias=False)
        self.key = nn.Linear(WIDTH, WIDTH, bias=False)
        self.value = nn.Linear(WIDTH, WIDTH)

    @override
    def forward(
        self, tokens: Float[Tensor, "b n w"], context: Float[Tensor, "b m w"], allowed: Bool[Tensor, "b #n m"] | None
    ) -> Float[Tensor, "b n w"]:
        scores = self.query(tokens) @ self.key(context).mT / WIDTH**0.5
        if allowed is not None:
            scores = scores.masked_fill(~allowed, -torch.inf)
        return tokens + scores.softmax(-1) @ self.value(context)


@final
class PatchTower(ImageEncoder):
    """Embeds patches, replaces the hidden ones by a learned vector, and mixes them."""

    width = WIDTH

    def __init__(self, dropout: float = 0.0, batch_norm: bool = False) -> None:
        super().__init__()
        self.embed = nn.Linear(3 * PATCH * PATCH, WIDTH)
        self.unseen = nn.Parameter(torch.randn(WIDTH))
        self.position = nn.Parameter(torch.randn(PATCHES, WIDTH))
        self.mix = nn.Linear(WIDTH, WIDTH)
        self.norm = nn.BatchNorm1d(PATCHES) if batch_norm else nn.Identity()
        self.drop = nn.Dropout(dropout)

    @override
    def forward(self, view: Pixels) -> Encoded:
        cut = view.pixels.unfold(2, PATCH, PATCH).unfold(3, PATCH, PATCH)
        tokens = self.embed(cut.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2))
        if view.hidden is not None:
            tokens = torch.where(view.hidden.unsqueeze(-1), self.unseen, tokens)
        tokens = tokens + self.position
        tokens = self.drop(self.norm(torch.tanh(self.mix(tokens + tokens.mean(1, keepdim=True)))))
        return Encoded(tokens.mean(1), tokens)

    @override
    def blocks(self) -> list[nn.Module]:
        return [self]


@final
class WordTower(TextEncoder):
    """Reads words alone, over an image's tokens ("fuse"), or over them and left to right ("decode").

    The three modes share every weight but the cross-attention's, which only a tower with ``cross`` has.
    """

    width = WIDTH

    def __init__(self, cross: bool = False, dropout: float = 0.0) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.position = nn.Parameter(torch.randn(LENGTH, WIDTH))
        self.attend = Attention()
        self.cross = Attention() if cross else None
        self.out = nn.Linear(WIDTH, WIDTH)
        self.drop = nn.Dropout(dropout)

    @override
    def forward(self, words: Words, context: Encoded | None = None, mode: Mode = "text") -> Encoded:
        tokens = self.embed(words.ids) + self.position
        allowed = words.mask.unsqueeze(1)
        if mode == "decode":
            allowed = allowed & torch.ones(LENGTH, LENGTH, dtype=torch.bool).tril()
        tokens = self.attend(tokens, tokens, allowed)
        if mode != "text":
            assert self.cross is not None and context is not None and context.tokens is not None
            tokens = self.cross(tokens, context.tokens, None)
        tokens = self.drop(torch.tanh(self.out(tokens)))
        return Encoded(tokens[:, 0], tokens, words.mask)

    @override
    def blocks(self) -> list[nn.Module]:
        return [self]


def known(tokens: Tensor | None) -> Tensor:
    """Return tokens that a toy always has."""
    assert tokens is not None
    return tokens

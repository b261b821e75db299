"""Letters as tokens, and a transform that drops some."""

from collections.abc import Sequence
from typing import final

import torch
from typing_extensions import override

from mmx.parts.batch import Words
from mmx.parts.tokenizer import Tokenizer
from mmx.parts.transform import TextTransform, WordRow
from mmx_toy.configs import Letters, Shake

ALPHABET = " abcdefghijklmnopqrstuvwxyz0123456789"


@final
class ToyTokenizer(Tokenizer):
    """One token a letter."""

    pad, start, end = 0, 1, 2
    vocabulary = 3 + len(ALPHABET)

    def __init__(self, config: Letters) -> None:
        self.context = config.context

    @override
    def encode(self, text: str) -> list[int]:
        letters = [3 + ALPHABET.index(letter) for letter in text.lower() if letter in ALPHABET]
        return [self.start, *letters[: self.context - 2], self.end]

    @override
    def decode(self, ids: Sequence[int]) -> str:
        return "".join(ALPHABET[token - 3] for token in ids if token > 2)

    @override
    def __call__(self, texts: Sequence[str]) -> Words:
        ids = torch.zeros(len(texts), self.context, dtype=torch.int64)
        for row, text in enumerate(texts):
            tokens = self.encode(text)
            ids[row, : len(tokens)] = torch.tensor(tokens)
        return Words(ids, ids != self.pad)


@final
class ToyDrop(TextTransform):
    """Takes one of the captions and replaces some letters by padding."""

    def __init__(self, config: Shake, tokenizer: Tokenizer) -> None:
        self.config, self.tokenizer = config, tokenizer

    @override
    def __call__(self, source: "tuple[str, ...] | WordRow", draw: torch.Generator) -> WordRow:
        if isinstance(source, WordRow):
            ids = source.ids
        else:
            ids = self.tokenizer([source[int(torch.randint(len(source), (), generator=draw))]]).ids[0]
        kept = torch.rand(ids.shape, generator=draw) >= 0.2 * self.config.strength
        ids = torch.where(kept | (ids <= 2), ids, 3)
        return WordRow(ids, ids != 0)

"""Bytes as tokens: every text can be written, and there is nothing to learn or to download."""

from collections.abc import Sequence
from typing import final

import torch
from typing_extensions import override

from mmx.parts.batch import Words
from mmx.parts.tokenizer import Tokenizer
from mmx_scaffold.templates.tokenizer.config import ThisPartConfig

SPECIAL = 3
"""Ids below this one are padding, start and end."""


@final
class ThisPart(Tokenizer):
    """The UTF-8 bytes of a text: byte x has the id x + 3, after padding 0, start 1 and end 2.

    A text that is too long is cut between two characters.
    """

    def __init__(self, config: ThisPartConfig) -> None:
        self.context = config.context
        self.vocabulary = SPECIAL + 256
        self.pad, self.start, self.end = range(SPECIAL)

    @override
    def encode(self, text: str) -> list[int]:
        # What a cut leaves of a character is no valid UTF-8 any more, and is ignored.
        whole = text.encode(errors="replace")[: self.context - 2].decode(errors="ignore")
        return [self.start, *(SPECIAL + byte for byte in whole.encode()), self.end]

    @override
    def decode(self, ids: Sequence[int]) -> str:
        return bytes(id - SPECIAL for id in ids if SPECIAL <= id < self.vocabulary).decode(errors="replace")

    @override
    def __call__(self, texts: Sequence[str]) -> Words:
        ids = torch.full((len(texts), self.context), self.pad)
        for row, text in zip(ids, texts, strict=True):
            found = self.encode(text)
            row[: len(found)] = torch.tensor(found)
        return Words(ids, ids != self.pad)

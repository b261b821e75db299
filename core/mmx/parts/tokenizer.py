"""The contract of tokenizers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from mmx.parts.batch import Words


class Tokenizer(ABC):
    """Turns texts into ids. Built as ``Class(config)``; picklable."""

    vocabulary: int
    """The number of ids."""
    context: int
    """Positions of every row, padding included."""
    pad: int
    start: int
    end: int
    """Ids of padding, start and end of text."""
    mask: int | None = None
    """Id that stands for a hidden word, None if there is none."""

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """Return the ids of one text, start and end included, truncated to the context with the end kept."""

    @abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids, special ones left out."""

    @abstractmethod
    def __call__(self, texts: Sequence[str]) -> Words:
        """Encode and pad texts to ids and mask ``b t``, with ``t = context``."""

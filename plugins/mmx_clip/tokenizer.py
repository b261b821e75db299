"""CLIP's tokenizer."""

from collections.abc import Sequence
from functools import cached_property
from itertools import chain
from typing import Final, final

import numpy as np
import torch
from typing_extensions import override

from mmx.parts.batch import Words
from mmx.parts.tokenizer import Tokenizer
from mmx_clip.clean import pieces, words
from mmx_clip.configs import ClipTokenizerConfig
from mmx_clip.merges import Merges, load

_KEPT: Final = 65_536
"""Pieces of text whose ids are remembered; when they are so many, all are forgotten."""


@final
class Known(dict[str, tuple[int, ...]]):
    """The ids of pieces of text met so far, of a bounded number of them."""

    def __init__(self, merges: Merges, special: dict[str, tuple[int, ...]]) -> None:
        super().__init__()
        self.merges = merges
        self.special = special

    def __missing__(self, piece: str) -> tuple[int, ...]:
        if len(self) >= _KEPT:
            self.clear()
        found = [self.special[word] if word in self.special else self.merges.encode(word) for word in words(piece)]
        ids = self[piece] = tuple(chain.from_iterable(found))
        return ids


@final
class ClipTokenizer(Tokenizer):
    """Lower-cased byte-pair encoding of CLIP (arXiv:2103.00020, section 2.4).

    With all merges, ids are those of open_clip's ``SimpleTokenizer``, for texts of up to 65,536 characters; longer
    ones are cut there first. The vocabulary is read at the first use, and is left out of pickles.
    """

    def __init__(self, config: ClipTokenizerConfig) -> None:
        self.config = config
        self.context = config.context
        self.vocabulary = 2 * 256 + config.merges + 2
        self.pad, self.start, self.end = 0, self.vocabulary - 2, self.vocabulary - 1

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "_known"}

    @cached_property
    def _known(self) -> Known:
        return Known(load(self.config.merges), {"<start_of_text>": (self.start,), "<end_of_text>": (self.end,)})

    @override
    def encode(self, text: str) -> list[int]:
        known = self._known
        ids = [self.start]
        for piece in pieces(text):
            ids += known[piece]
            if len(ids) >= self.context:
                break
        return [*ids[: self.context - 1], self.end]

    @override
    def decode(self, ids: Sequence[int]) -> str:
        pieces = self._known.merges.pieces
        return b"".join(pieces[id] for id in ids if id < len(pieces)).decode(errors="replace").strip()

    @override
    def __call__(self, texts: Sequence[str]) -> Words:
        rows = [self.encode(text) for text in texts]
        mask = np.arange(self.context) < np.array([len(row) for row in rows], dtype=np.int64)[:, None]
        ids = np.full(mask.shape, self.pad, dtype=np.int64)
        ids[mask] = np.fromiter(chain.from_iterable(rows), dtype=np.int64)
        return Words(torch.as_tensor(ids), torch.as_tensor(mask))

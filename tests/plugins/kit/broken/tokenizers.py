"""A tokenizer that keeps its contract, and variations of it that do not."""

import itertools
from collections.abc import Iterator, Sequence

import torch
from typing_extensions import override

from broken.table import Broken, Twin
from mmx.config import PartConfig
from mmx.parts.batch import Words
from mmx.parts.tokenizer import Tokenizer


class LettersConfig(PartConfig):
    positions: int = 16
    """Positions of every row."""


class Letters(Tokenizer):
    """The twin: one id for each byte, behind those of padding, start and end."""

    vocabulary, pad, start, end = 259, 0, 1, 2

    def __init__(self, config: LettersConfig) -> None:
        self.context = config.positions

    @override
    def encode(self, text: str) -> list[int]:
        ids = [byte + 3 for byte in text.lower().encode(errors="replace")]
        return [self.start, *ids[: self.context - 2], self.end]

    @override
    def decode(self, ids: Sequence[int]) -> str:
        return bytes(id - 3 for id in ids if id > 2).decode(errors="replace")

    @override
    def __call__(self, texts: Sequence[str]) -> Words:
        rows = [self.encode(text) for text in texts]
        return self.padded(rows, self.context)

    def padded(self, rows: Sequence[list[int]], width: int) -> Words:
        ids = torch.tensor([row + [self.pad] * (width - len(row)) for row in rows])
        mask = torch.tensor([[True] * len(row) + [False] * (width - len(row)) for row in rows])
        return Words(ids, mask)


class PadOutside(Letters):
    pad = 259


class NoStart(Letters):
    @override
    def encode(self, text: str) -> list[int]:
        return super().encode(text)[1:]


class AsciiAlone(Letters):
    @override
    def encode(self, text: str) -> list[int]:
        return super().encode(text.encode("ascii").decode())


class NeedsWord(Letters):
    @override
    def encode(self, text: str) -> list[int]:
        return super().encode(text.split()[0] + text)


class LosesEnd(Letters):
    @override
    def encode(self, text: str) -> list[int]:
        ids = [self.start, *(byte + 3 for byte in text.lower().encode()), self.end]
        return ids[: self.context]


class KeepsTail(Letters):
    """Cuts the beginning of a long text instead of its rest."""

    @override
    def encode(self, text: str) -> list[int]:
        return super().encode(text[-14:])


class PadsLeft(Letters):
    @override
    def padded(self, rows: Sequence[list[int]], width: int) -> Words:
        ids = torch.tensor([[self.pad] * (width - len(row)) + row for row in rows])
        return Words(ids, ids != self.pad)


class PadsToLongest(Letters):
    @override
    def __call__(self, texts: Sequence[str]) -> Words:
        rows = [self.encode(text)[:9] for text in texts]
        return self.padded(rows, max(map(len, rows)))


class FullMask(Letters):
    @override
    def padded(self, rows: Sequence[list[int]], width: int) -> Words:
        words = super().padded(rows, width)
        return Words(words.ids, torch.ones_like(words.mask))


class DecodesSpecial(Letters):
    @override
    def decode(self, ids: Sequence[int]) -> str:
        return f"<start>{super().decode(ids)}<end>"


class Backwards(Letters):
    @override
    def decode(self, ids: Sequence[int]) -> str:
        return super().decode(ids)[::-1]


class Learning(Letters):
    """Numbers letters in the order in which it meets them."""

    def __init__(self, config: LettersConfig) -> None:
        super().__init__(config)
        self.known: dict[str, int] = {}

    @override
    def encode(self, text: str) -> list[int]:
        ids = [3 + self.known.setdefault(letter, len(self.known)) % 250 for letter in text]
        return [self.start, *ids[: self.context - 2], self.end]


class OneForAll(Letters):
    @override
    def encode(self, text: str) -> list[int]:
        return [self.start, *[9] * 3, self.end]


class Hashing(Letters):
    """Python's hash of a text differs from process to process."""

    @override
    def encode(self, text: str) -> list[int]:
        ids = [3 + hash(word) % 256 for word in text.split()]
        return [self.start, *ids[: self.context - 2], self.end]


class HoldsFunction(Letters):
    def __init__(self, config: LettersConfig) -> None:
        super().__init__(config)
        self.clean = lambda text: str(text).lower()


class Doubling(Letters):
    """Changes a setting of torch for everybody."""

    @override
    def encode(self, text: str) -> list[int]:
        torch.set_default_dtype(torch.float64)
        return super().encode(text)


def _broken(check: str, *parts: type[Letters]) -> Iterator[Broken]:
    return (Broken("tokenizer", part.__name__, f"{__name__}:{part.__name__}", LettersConfig, check) for part in parts)


TOKENIZER = Twin("tokenizer", "Letters", f"{__name__}:Letters", LettersConfig)
TOKENIZERS = tuple(
    itertools.chain(
        _broken("ids", PadOutside, NoStart),
        _broken("odd texts", AsciiAlone, NeedsWord),
        _broken("truncation", LosesEnd, KeepsTail),
        _broken("batches", PadsLeft, PadsToLongest, FullMask),
        _broken("decoding", DecodesSpecial, Backwards),
        _broken("no state", Learning, OneForAll),
        _broken("spawned workers", Hashing, HoldsFunction),
        _broken("global state", Doubling),
    )
)

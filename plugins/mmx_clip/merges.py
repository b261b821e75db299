"""Byte-pair encoding: the table of merges, and the encoding of one word."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from importlib.resources import files
from itertools import pairwise
from typing import Final

MERGES: Final = 48_894
"""Merges that CLIP uses of the 262,144 in the file: with 2 x 256 bytes and 2 special ids they make 49,408 ids."""
_END: Final = 256
"""The id of a byte that ends a word is the byte's id plus this."""
_FIRST: Final = 512
"""The id of the first merge; ids of merges are in order of rank."""


@dataclass(frozen=True)
class Merges:
    """CLIP's byte-pair vocabulary."""

    pairs: dict[tuple[int, int], int]
    """The id that two neighbouring ids merge to; the lowest merges first."""
    letters: tuple[int, ...]
    """The id of each byte."""
    pieces: tuple[bytes, ...]
    """The bytes of each id; a space stands for the end of a word."""

    def encode(self, word: str) -> tuple[int, ...]:
        """Return the ids of one word, in O(n log n) for n bytes."""
        ids = [self.letters[byte] for byte in word.encode()]
        ids[-1] += _END
        if len(ids) == 1:
            return tuple(ids)
        return tuple(id for id in self._merged(ids) if id >= 0)

    def _merged(self, ids: list[int]) -> list[int]:
        """Merge in place, lowest merge first and then from the left; -1 marks ids that were merged away."""
        # Merging (a, b) only creates pairs of a higher rank, so one heap gives the order of repeated full passes.
        after = [*range(1, len(ids)), -1]
        before = [*range(-1, len(ids) - 1)]
        heap = [(merged, place) for place, pair in enumerate(pairwise(ids)) if (merged := self.pairs.get(pair))]
        heapify(heap)
        while heap:
            merged, left = heappop(heap)
            right = after[left]
            if right < 0 or self.pairs.get((ids[left], ids[right])) != merged:
                continue
            ids[left], ids[right] = merged, -1
            after[left] = after[right]
            if after[left] >= 0:
                before[after[left]] = left
            for place in (before[left], left):
                if place >= 0 and after[place] >= 0 and (new := self.pairs.get((ids[place], ids[after[place]]))):
                    heappush(heap, (new, place))
        return ids


def load(merges: int) -> Merges:
    """Read the first merges of the vocabulary that is shipped with this plugin; they are the most frequent ones."""
    characters = _characters()
    ids = {character: id for id, character in enumerate(characters)}
    ids |= {character + "</w>": id + _END for character, id in list(ids.items())}
    pairs: dict[tuple[int, int], int] = {}
    for id, line in enumerate(lines(merges), start=_FIRST):
        left, right = line.split()
        pairs[ids[left], ids[right]] = id
        ids[left + right] = id
    letters = tuple(ids[character] for _, character in sorted(zip(_bytes(), characters, strict=True)))
    return Merges(pairs, letters, _pieces(pairs))


def lines(merges: int = MERGES) -> list[str]:
    """Return the first lines of the vocabulary that is shipped: the two pieces of each merge, with a space between."""
    packed = files("mmx_clip").joinpath("data/bpe_simple_vocab_16e6.txt.gz").read_bytes()
    return gzip.decompress(packed).decode().split("\n")[1 : 1 + merges]


def written() -> list[str]:
    """Return how each id is written in files of the vocabulary, special ids left out; "</w>" ends a word."""
    single = _characters()
    return [*single, *(f"{character}</w>" for character in single), *("".join(line.split()) for line in lines())]


def _pieces(pairs: dict[tuple[int, int], int]) -> tuple[bytes, ...]:
    pieces = [bytes([byte]) for byte in _bytes()]
    pieces += [piece + b" " for piece in pieces]
    for left, right in pairs:
        pieces.append(pieces[left] + pieces[right])
    return tuple(pieces)


def _printable() -> list[int]:
    return [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]


def _bytes() -> list[int]:
    """Return all bytes in the order of their ids: those that Latin-1 prints first."""
    return sorted(range(256), key=lambda byte: (byte not in _printable(), byte))


def _characters() -> list[str]:
    """Return the character that the vocabulary file writes for each byte, in the order of ids."""
    shown = _printable()
    return [chr(byte) for byte in shown] + [chr(256 + index) for index in range(256 - len(shown))]

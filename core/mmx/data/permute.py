"""Pseudo-random orders of which any part is computed by itself, so that an order of billions takes no memory."""

from __future__ import annotations

import hashlib
from typing import Final, final

import numpy as np
from jaxtyping import Int64

_ROUNDS: Final = 6
_FEW: Final = 4096
"""Numbers that are ordered all at once: a network has too few orders of a small set, and would be applied often."""
_MIX: Final = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
"""The multipliers of splitmix64's finalizer."""
_SHIFTS: Final = (np.uint64(30), np.uint64(27), np.uint64(31))


def seed_of(*parts: str | int) -> int:
    """Return 63 bits that depend on all parts and nothing else."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


@final
class Permutation:
    """An order of the numbers below ``count``: the same for a seed in every version, on every machine.

    A few numbers are sorted by a hash of each. Of many, any part is found by a balanced Feistel network (Luby and Rackoff
    1988), which permutes the numbers of an even number of bits; where it leaves those below ``count``, it is applied again
    until it is back (Black and Rogaway 2002, cycle walking).
    """

    def __init__(self, count: int, seed: int) -> None:
        self.count = count
        self._keys = [np.uint64(seed_of("permutation", seed, number)) for number in range(_ROUNDS)]
        if count <= _FEW:
            hashes = _mixed(_mixed(np.arange(count, dtype=np.uint64) ^ self._keys[0]) ^ self._keys[1])
            self._all = np.argsort(hashes, kind="stable")
        half = ((count - 1).bit_length() + 1) // 2
        self._half, self._mask = np.uint64(half), np.uint64((1 << half) - 1)

    def __call__(self, positions: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
        """Return the numbers at positions from 0 to ``count``, excluded."""
        if self.count <= _FEW:
            return self._all[positions]
        found = self._once(positions.astype(np.uint64))
        outside = np.flatnonzero(found >= self.count)
        while outside.size:
            found[outside] = self._once(found[outside])
            outside = outside[found[outside] >= self.count]
        return found.astype(np.int64)

    def _once(self, numbers: np.ndarray) -> np.ndarray:
        left, right = numbers >> self._half, numbers & self._mask
        for key in self._keys:
            left, right = right, left ^ (_mixed(right ^ key) & self._mask)
        return (left << self._half) | right


def _mixed(numbers: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # modulo 2**64, as meant
        numbers = (numbers ^ (numbers >> _SHIFTS[0])) * _MIX[0]
        numbers = (numbers ^ (numbers >> _SHIFTS[1])) * _MIX[1]
    return numbers ^ (numbers >> _SHIFTS[2])

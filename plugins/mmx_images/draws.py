"""Random numbers of one sample."""

from typing import Final, final

import torch

_BLOCK: Final = 48


@final
class Draws:
    """Uniform numbers from one generator, drawn in blocks because a single draw costs as much as many."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator
        self.left: list[float] = []

    def unit(self) -> float:
        """Return a number within [0, 1)."""
        if not self.left:
            self.left = torch.rand(_BLOCK, generator=self.generator).tolist()
        return self.left.pop()

    def between(self, low: float, high: float) -> float:
        """Return a number within [low, high)."""
        return low + (high - low) * self.unit()

    def below(self, count: int) -> int:
        """Return a whole number from 0 to count - 1."""
        return min(int(count * self.unit()), count - 1)

    def chance(self, probability: float) -> bool:
        """Return True with this probability."""
        return self.unit() < probability

"""Samples that are made up, unlike one another, the same in every process."""

from __future__ import annotations

import random
from typing import final

from PIL import Image
from typing_extensions import override

from mmx.parts.dataset import Dataset, Sample

_WORDS = "a red blue small cat dog tree on under of the bright old car near house with two birds".split()


@final
class Noise(Dataset):
    """Pictures of coloured noise with captions of 1 to 12 words. Every third has a twin: both are of one group."""

    def __init__(self, samples: int, facts: tuple[str, ...] = ()) -> None:
        self._samples = samples
        self._facts = facts

    @override
    def __len__(self) -> int:
        return self._samples

    @override
    def key(self, index: int) -> str:
        return f"noise-{index}"

    @override
    def read(self, index: int) -> Sample:
        draw = random.Random(index)
        picture = Image.frombytes("RGB", (12, 8), draw.randbytes(3 * 12 * 8)).resize((96, 64))
        caption = " ".join(draw.choice(_WORDS) for _ in range(draw.randint(1, 12)))
        group = index - 1 if index % 3 == 1 else index
        return Sample(self.key(index), picture, (caption,), dict.fromkeys(self._facts, group))

"""Samples that are made up, to check a recipe that has no data yet."""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

from PIL import Image
from typing_extensions import override

from mmx.parts.dataset import Dataset, Sample


@final
class Examples(Dataset):
    """Grey pictures with a caption each. A fact is a sample's index, so that no two samples are alike."""

    def __init__(self, samples: int, facts: Iterable[str] = ()) -> None:
        self.samples = samples
        self.facts = tuple(facts)

    @override
    def __len__(self) -> int:
        return self.samples

    @override
    def key(self, index: int) -> str:
        return f"example-{index}"

    @override
    def read(self, index: int) -> Sample:
        picture = Image.new("RGB", (320, 240), (128, 128, 128))
        return Sample(self.key(index), picture, (f"example {index}",), dict.fromkeys(self.facts, index))

"""Captions that come again and again: only the first few samples of each stay."""

from collections import Counter
from typing import final

from typing_extensions import override

from mmx.data.permute import seed_of
from mmx.parts.dataset import Sample
from mmx.parts.filter import SampleFilter
from mmx_scaffold.templates.filter.config import ThisPartConfig


def plain(caption: str) -> str:
    """Return a caption without what does not count: case and the white space between words."""
    return " ".join(caption.casefold().split())


@final
class ThisPart(SampleFilter):
    """Leaves out samples whose first caption ``most`` samples before them have.

    It is shown samples in their order, once, before training starts; 63 bits of each caption are remembered.
    """

    def __init__(self, config: ThisPartConfig) -> None:
        self.most = config.most
        self.seen = Counter[int]()

    @override
    def stays(self, sample: Sample) -> bool:
        if not sample.texts:
            return True
        caption = seed_of(plain(sample.texts[0]))
        self.seen[caption] += 1
        return self.seen[caption] <= self.most

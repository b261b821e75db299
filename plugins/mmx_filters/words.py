"""A filter by the words of captions."""

from typing import final

from typing_extensions import override

from mmx.parts.dataset import Sample
from mmx.parts.filter import SampleFilter
from mmx_filters.configs import WordsConfig


@final
class Words(SampleFilter):
    """One caption at least has so many words, and none of the phrases."""

    def __init__(self, config: WordsConfig) -> None:
        self.low, self.high = config.min or 0, config.max
        self.without = tuple(phrase.casefold() for phrase in config.without)

    @override
    def stays(self, sample: Sample) -> bool:
        return any(map(self._passes, sample.texts))

    def _passes(self, text: str) -> bool:
        count, folded = len(text.split()), text.casefold()
        few = count < self.low or (self.high is not None and count > self.high)
        return not few and not any(phrase in folded for phrase in self.without)

"""Random deletion (EDA, arXiv:1901.11196): words of a caption are left out by chance."""

from collections.abc import Sequence
from typing import final

import torch
from typing_extensions import override

from mmx.errors import RecipeError
from mmx.parts.dataset import BadSampleError
from mmx.parts.tokenizer import Tokenizer
from mmx.parts.transform import TextTransform, WordRow
from mmx_scaffold.templates.text_transform.config import ThisPartConfig


def kept(words: Sequence[str], numbers: Sequence[float], drop: float) -> list[str]:
    """Return the words whose number, uniform within 0 and 1, is at least ``drop``; the luckiest one if none is."""
    stay = [word for word, number in zip(words, numbers, strict=True) if number >= drop]
    return stay or [words[max(range(len(words)), key=numbers.__getitem__)]]


@final
class ThisPart(TextTransform):
    """Picks one of a sample's captions, leaves each of its words out with probability ``drop``, and encodes the rest.

    ``draw`` is the only source of randomness: it is seeded by run, epoch, sample and view.

    Raises:
        RecipeError: it is made from another view, whose words are ids already.
    """

    def __init__(self, config: ThisPartConfig, tokenizer: Tokenizer) -> None:
        self.drop = config.drop
        self.tokenizer = tokenizer

    @override
    def __call__(self, source: "tuple[str, ...] | WordRow", draw: torch.Generator) -> WordRow:
        if isinstance(source, WordRow):
            raise RecipeError("random deletion reads captions; take 'of' out of its table")
        captions = [words for caption in source if (words := caption.split())]
        if not captions:
            raise BadSampleError("has no caption")
        words = captions[int(torch.randint(len(captions), (), generator=draw))]
        numbers: list[float] = torch.rand(len(words), generator=draw).tolist()
        row = self.tokenizer([" ".join(kept(words, numbers, self.drop))])
        return WordRow(row.ids[0], row.mask[0])

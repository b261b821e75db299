"""One caption of a sample, as ids."""

from typing import final

import torch
from typing_extensions import override

from mmx.errors import RecipeError
from mmx.parts.dataset import BadSampleError
from mmx.parts.tokenizer import Tokenizer
from mmx.parts.transform import TextTransform, WordRow
from mmx_images.configs import CaptionConfig
from mmx_images.draws import Draws


@final
class Caption(TextTransform):
    """Picks a caption, puts it into a template if there are any, and encodes it."""

    def __init__(self, config: CaptionConfig, tokenizer: Tokenizer) -> None:
        self.config = config
        self.tokenizer = tokenizer

    @override
    def __call__(self, source: "tuple[str, ...] | WordRow", draw: torch.Generator) -> WordRow:
        if isinstance(source, WordRow):
            raise RecipeError("the text transform 'caption' reads the sample's captions; take 'of' out of its table")
        if not source:
            raise BadSampleError("has no caption")
        draws = Draws(draw)
        text = source[draws.below(len(source))] if self.config.pick == "random" else source[0]
        if self.config.templates:
            text = self.config.templates[draws.below(len(self.config.templates))].replace("{}", text)
        words = self.tokenizer([text])
        return WordRow(words.ids[0], words.mask[0])

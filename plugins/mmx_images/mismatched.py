"""A caption that may be another sample's, for image-text matching."""

from dataclasses import replace
from typing import final

import torch
from typing_extensions import override

from mmx.parts.tokenizer import Tokenizer
from mmx.parts.transform import PairedTextTransform, WordRow
from mmx_images.caption import Caption
from mmx_images.configs import MismatchedConfig


@final
class Mismatched(PairedTextTransform):
    """A row of a caption, with a fact that says whether it is one of the sample's own (1) or another one's (0)."""

    def __init__(self, config: MismatchedConfig, tokenizer: Tokenizer) -> None:
        self.config = config
        self.caption = Caption(config, tokenizer)

    @override
    def wants(self, draw: torch.Generator) -> bool:
        return bool(torch.rand((), generator=draw) < self.config.share)

    @override
    def paired(self, source: "tuple[str, ...] | WordRow", second: tuple[str, ...], draw: torch.Generator) -> WordRow:
        return replace(self.caption(second, draw), facts={self.config.fact: 0})

    @override
    def __call__(self, source: "tuple[str, ...] | WordRow", draw: torch.Generator) -> WordRow:
        return replace(self.caption(source, draw), facts={self.config.fact: 1})

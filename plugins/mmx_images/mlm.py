"""Words masked for masked language modelling."""

from typing import final

import torch
from typing_extensions import override

from mmx.errors import RecipeError
from mmx.parts.tokenizer import Tokenizer
from mmx.parts.transform import TextTransform, WordRow
from mmx_images.configs import MlmConfig


@final
class Mlm(TextTransform):
    """Masks the row of another view: each piece is predicted with a probability, and then masked, replaced or kept.

    Labels have the true id where it is predicted and -100 elsewhere. Ids drawn at random are never special ones.

    Raises:
        RecipeError: there is no mask id, or it is not in the vocabulary, or is the id of padding, start or end.
    """

    def __init__(self, config: MlmConfig, tokenizer: Tokenizer) -> None:
        special = [tokenizer.pad, tokenizer.start, tokenizer.end]
        mask = tokenizer.mask if config.mask is None else config.mask
        if mask is None:
            raise RecipeError(
                f"the tokenizer {type(tokenizer).__name__} has no id for hidden words: say with mask = ID which one stands "
                "for them, or take a tokenizer that has one"
            )
        if mask >= tokenizer.vocabulary or mask in special:
            raise RecipeError(
                f"mask = {mask} must be an id below the vocabulary's {tokenizer.vocabulary} "
                f"and none of padding, start and end {special}"
            )
        self.config, self.mask = config, mask
        never = torch.zeros(tokenizer.vocabulary, dtype=torch.bool)
        never[[*special, mask]] = True
        self.edges = torch.tensor([tokenizer.start, tokenizer.end])
        self.ordinary = (~never).nonzero().squeeze(1)

    @override
    def __call__(self, source: "tuple[str, ...] | WordRow", draw: torch.Generator) -> WordRow:
        if not isinstance(source, WordRow):
            raise RecipeError("the text transform 'mlm' masks another view; name it with of = \"VIEW\"")
        ids, config = source.ids, self.config
        chosen, fate = torch.rand(2, len(ids), generator=draw)
        predicted = (chosen < config.share) & source.mask & ~torch.isin(ids, self.edges)
        replace = predicted & (fate >= config.masked) & (fate < config.masked + config.random)
        others = self.ordinary[torch.randint(len(self.ordinary), ids.shape, generator=draw)]
        masked = torch.where(predicted & (fate < config.masked), self.mask, torch.where(replace, others, ids))
        return WordRow(masked, source.mask, torch.where(predicted, ids, -100))

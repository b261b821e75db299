"""CLIP's text transformer."""

from typing import TYPE_CHECKING, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from typing_extensions import override

from mmx.errors import RecipeError
from mmx.parts.batch import Encoded, Words
from mmx.parts.encoder import Mode, TextEncoder
from mmx.parts.sizes import Sizes
from mmx_clip.blocks import Blocks
from mmx_clip.configs import TextTransformerConfig


@final
class Tokens(nn.Module):
    """Ids to tokens, with learned positions."""

    def __init__(self, vocabulary: int, context: int, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(vocabulary, width)
        self.position = nn.Parameter(torch.empty(context, width))
        nn.init.normal_(self.table.weight, std=0.02)
        nn.init.normal_(self.position, std=0.01)

    def forward(self, ids: Int[Tensor, "b t"]) -> Float[Tensor, "b t w"]:
        """Return one token for each id; there may be fewer than the context has positions."""
        return self.table(ids) + self.position[: ids.shape[1]]

    if TYPE_CHECKING:
        __call__ = forward


@final
class TextTransformer(TextEncoder):
    """The causal text transformer of CLIP, without its projection, which is the fusion's.

    Pooled is the token at the first end of text; tokens are all positions; both are after the last norm.
    Padding needs no mask: it stands behind the end of the text, where the causal mask hides it.
    """

    def __init__(self, config: TextTransformerConfig, sizes: Sizes) -> None:
        super().__init__()
        self.width = config.width
        self.end = sizes.end
        self.tokens = Tokens(sizes.vocabulary, sizes.context, config.width)
        self.layers = Blocks(config, causal=True)
        self.layers.initialise()
        self.norm = nn.LayerNorm(config.width)

    @override
    def forward(self, words: Words, context: Encoded | None = None, mode: Mode = "text") -> Encoded:
        if context is not None or mode != "text":
            raise RecipeError(
                f"the text encoder 'transformer' reads text alone; mode '{mode}' needs another text encoder"
            )
        tokens = self.norm(self.layers(self.tokens(words.ids)))
        end = (words.ids == self.end).int().argmax(dim=1)
        pooled = tokens[torch.arange(len(tokens), device=tokens.device), end]
        return Encoded(pooled=pooled, tokens=tokens, mask=words.mask)

    @override
    def blocks(self) -> list[nn.Module]:
        *layers, last = self.layers
        return [self.tokens, *layers, nn.ModuleList([last, self.norm])]

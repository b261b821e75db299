"""A bag of words: each token passes an MLP by itself, and the text is their mean."""

from typing import final

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from mmx.errors import RecipeError
from mmx.parts.batch import Encoded, Words
from mmx.parts.encoder import Mode, TextEncoder
from mmx.parts.sizes import Sizes
from mmx_scaffold.templates.text_encoder.config import ThisPartConfig


@final
class Mlp(nn.Module):
    """``y = x + W2 gelu(W1 x)`` at each token."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.rise = nn.Linear(width, hidden)
        self.fall = nn.Linear(hidden, width)

    @override
    def forward(self, x: Float[Tensor, "b t w"]) -> Float[Tensor, "b t w"]:
        return x + self.fall(functional.gelu(self.rise(x)))


@final
class ThisPart(TextEncoder):
    """The mean over real tokens, so that neither order nor padding matters.

    With the embedding e of each id and the mask m, 1 on tokens and 0 on padding::

        y_t = e(id_t) + W2 gelu(W1 e(id_t))
        pooled = sum_t m_t y_t / sum_t m_t
    """

    def __init__(self, config: ThisPartConfig, sizes: Sizes) -> None:
        super().__init__()
        self.width = config.width
        self.embed = nn.Embedding(sizes.vocabulary, config.width)
        self.mlp = Mlp(config.width, config.hidden)

    @override
    def forward(self, words: Words, context: Encoded | None = None, mode: Mode = "text") -> Encoded:
        if mode != "text":
            raise RecipeError(f"this text encoder reads text alone; a part of the recipe asks for '{mode}'")
        tokens = self.mlp(self.embed(words.ids))
        real = words.mask.unsqueeze(-1).to(tokens.dtype)
        pooled = (real * tokens).sum(dim=1) / real.sum(dim=1).clamp(min=1)
        return Encoded(pooled, tokens, words.mask)

    @override
    def blocks(self) -> list[nn.Module]:
        return [self.embed, self.mlp]

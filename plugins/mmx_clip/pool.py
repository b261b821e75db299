"""From a feature map to one vector."""

from typing import TYPE_CHECKING, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from mmx.parts.batch import Encoded


@final
class AttentionPool(nn.Module):
    """One attention layer whose only query is the mean over positions (CLIP, section 2.4)."""

    def __init__(self, channels: int, side: int, heads: int, output: int) -> None:
        super().__init__()
        self.heads = heads
        self.position = nn.Parameter(torch.randn(side**2 + 1, channels) * channels**-0.5)
        self.q = nn.Linear(channels, channels)
        self.k = nn.Linear(channels, channels)
        self.v = nn.Linear(channels, channels)
        self.out = nn.Linear(channels, output)
        for linear in (self.q, self.k, self.v, self.out):
            nn.init.normal_(linear.weight, std=channels**-0.5)

    def forward(self, grid: Float[Tensor, "b c h w"]) -> Encoded:
        """Return pooled ``b output``, and no tokens, since they would have another width."""
        places = grid.flatten(2).transpose(1, 2)  # [b hw c]
        places = torch.cat([places.mean(dim=1, keepdim=True), places], dim=1) + self.position
        q, k, v = self._split(self.q(places[:, :1])), self._split(self.k(places)), self._split(self.v(places))
        mixed = functional.scaled_dot_product_attention(q, k, v)  # [b heads 1 c/heads]
        return Encoded(pooled=self.out(mixed.flatten(1)))

    if TYPE_CHECKING:
        __call__ = forward

    def _split(self, x: Float[Tensor, "b n c"]) -> Float[Tensor, "b heads n k"]:
        b, n, c = x.shape
        return x.view(b, n, self.heads, c // self.heads).transpose(1, 2)


@final
class MeanPool(nn.Module):
    """The mean over positions."""

    def forward(self, grid: Float[Tensor, "b c h w"]) -> Encoded:
        """Return pooled ``b c`` and the positions as tokens ``b hw c``."""
        places = grid.flatten(2).transpose(1, 2)
        return Encoded(pooled=places.mean(dim=1), tokens=places)

    if TYPE_CHECKING:
        __call__ = forward

"""The transformer block that CLIP's vision and text towers share."""

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Final, cast, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from typing_extensions import override

from mmx.parts.sharding import Cut, Stack
from mmx_clip.configs import Activation, TransformerConfig
from mmx_clip.packing import Packing, Padding


def quick_gelu(x: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
    """Return ``x * sigmoid(1.702 x)``, the original CLIP's approximation of GELU."""
    return x * torch.sigmoid(1.702 * x)


_ACTIVATIONS: Final[dict[Activation, Callable[[Tensor], Tensor]]] = {
    "quick_gelu": quick_gelu,
    "gelu": functional.gelu,
}


@final
class Attention(nn.Module):
    """Multi-head self-attention with one matrix for queries, keys and values."""

    cut: ClassVar[Cut] = Cut(columns={"qkv": 3}, rows=("out",), divided=("heads",))

    def __init__(self, width: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.heads = heads
        self.causal = causal
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.qkv.weight)
        nn.init.zeros_(self.qkv.bias)
        nn.init.zeros_(self.out.bias)

    def forward(
        self, x: Float[Tensor, "*n w"], packing: Packing | Padding | None = None, only: Int[Tensor, " b"] | None = None
    ) -> Float[Tensor, "*m w"]:
        """Attend over all positions of a row, or, if causal, over those up to each position's own.

        With ``only``, one position of each row attends: the result is ``b w``.
        """
        qkv = self.qkv(x) if packing is None else packing.unpack(self.qkv(x))
        q, k, v = qkv.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # [b heads n w/heads]
        if only is not None:
            return self.out(self._one(q[torch.arange(len(q), device=x.device), :, only].unsqueeze(2), k, v, only))
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=self.causal).transpose(1, 2).flatten(2)
        return self.out(mixed if packing is None else packing.pack(mixed))

    def _one(self, q: Tensor, k: Tensor, v: Tensor, only: Int[Tensor, " b"]) -> Float[Tensor, "b w"]:
        seen = torch.arange(k.shape[2], device=k.device) <= only[:, None]  # [b n]
        mask = seen[:, None, None] if self.causal else None
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask).flatten(1)

    if TYPE_CHECKING:
        __call__ = forward


@final
class Mlp(nn.Module):
    """Two linear layers with an activation between them."""

    cut: ClassVar[Cut] = Cut(columns={"up": 1}, rows=("down",))

    def __init__(self, width: int, hidden: int, activation: Activation) -> None:
        super().__init__()
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)
        self.activation = _ACTIVATIONS[activation]

    def forward(self, x: Float[Tensor, "*n w"]) -> Float[Tensor, "*n w"]:
        """Apply it to each position."""
        return self.down(self.activation(self.up(x)))

    if TYPE_CHECKING:
        __call__ = forward


@final
class Block(nn.Module):
    """A pre-norm residual block: ``x + attention(norm(x))``, then ``x + mlp(norm(x))``."""

    def __init__(self, config: TransformerConfig, causal: bool) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(config.width)
        self.attention = Attention(config.width, config.heads, causal)
        self.norm_mlp = nn.LayerNorm(config.width)
        self.mlp = Mlp(config.width, int(config.width * config.mlp_ratio), config.activation)

    def forward(
        self, x: Float[Tensor, "*n w"], packing: Packing | Padding | None = None, only: Int[Tensor, " b"] | None = None
    ) -> Float[Tensor, "*m w"]:
        """Return the tokens after this block; with ``only``, one of each row, ``b w``."""
        kept = x if only is None else _chosen(x, packing, only)
        x = kept + self.attention(self.norm_attention(x), packing, only)
        return x + self.mlp(self.norm_mlp(x))

    if TYPE_CHECKING:
        __call__ = forward


def _chosen(
    x: Float[Tensor, "*n w"], packing: Packing | Padding | None, only: Int[Tensor, " b"]
) -> Float[Tensor, "b w"]:
    return x[packing.starts + only] if isinstance(packing, Packing) else x[torch.arange(len(x), device=x.device), only]


@final
class Blocks(Stack):
    """The blocks of a tower, one after the other."""

    def __init__(self, config: TransformerConfig, causal: bool) -> None:
        super().__init__([Block(config, causal) for _ in range(config.layers)])
        self.checkpointing = config.checkpointing

    @override
    def forward(
        self, x: Float[Tensor, "*n w"], packing: Packing | None = None, only: Int[Tensor, " b"] | None = None
    ) -> Float[Tensor, "*m w"]:
        """Return the tokens ``b n w`` after the last block; with a packing they are packed, ``N w``.

        With ``only``, one position of each row: the last block computes no other, and the result is ``b w``.
        """
        if self.tokens is not None:
            return self._divided(x, packing, only)
        for index in self.span:
            x = self._one(index, x, packing, only if index == len(self) - 1 else None)
        return x

    if TYPE_CHECKING:
        __call__ = forward

    def _one(
        self, index: int, x: Tensor, packing: Packing | Padding | None, only: Int[Tensor, " b"] | None
    ) -> Float[Tensor, "*m w"]:
        if self.checkpointing and torch.is_grad_enabled():
            return cast(Tensor, checkpoint(self[index], x, packing, only, use_reentrant=False))
        return self[index](x, packing, only)

    def _divided(
        self, x: Float[Tensor, "*n w"], packing: Packing | None, only: Int[Tensor, " b"] | None
    ) -> Float[Tensor, "*m w"]:
        """Run the blocks on this process's tokens. Those of one position are chosen behind them, for it has an owner."""
        assert self.tokens is not None
        whole = x if packing is None else packing.unpack(x)
        count = whole.shape[1]
        padding = Padding(count, self.tokens.padded(count))
        here = self.tokens.split(whole)
        for index in self.span:
            here = self._one(index, here, padding, None)
        whole = self.tokens.join(here, count)
        if only is not None and self.span.stop == len(self):
            return _chosen(whole, None, only)
        return whole if packing is None else packing.pack(whole)

    def initialise(self) -> None:
        """Draw the weights as CLIP draws its text tower's: projections into the residual stream shrink with depth."""
        for block in self:
            assert isinstance(block, Block)
            width = block.attention.out.in_features
            into_residual = width**-0.5 * (2 * len(self)) ** -0.5
            nn.init.normal_(block.attention.qkv.weight, std=width**-0.5)
            nn.init.normal_(block.attention.out.weight, std=into_residual)
            nn.init.normal_(block.mlp.up.weight, std=(2 * width) ** -0.5)
            nn.init.normal_(block.mlp.down.weight, std=into_residual)

"""The transformer block that CLIP's vision and text towers share."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from mmx_clip.configs import Activation, TransformerConfig
from mmx_clip.packing import Packing


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
        self, x: Float[Tensor, "*n w"], packing: Packing | None = None, only: Int[Tensor, " b"] | None = None
    ) -> Float[Tensor, "*m w"]:
        """Attend over all positions of a row, or, if causal, over those up to each position's own.

        With ``only``, one position of each row attends: the result is ``b w``.
        """
        qkv = self.qkv(x) if packing is None else packing.unpack(self.qkv(x))
        b, n, w = qkv.shape[0], qkv.shape[1], x.shape[-1]
        q, k, v = qkv.view(b, n, 3, self.heads, w // self.heads).permute(2, 0, 3, 1, 4)  # [b heads n w/heads]
        if only is not None:
            return self.out(self._one(q[torch.arange(b, device=x.device), :, only].unsqueeze(2), k, v, only))
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
        self, x: Float[Tensor, "*n w"], packing: Packing | None = None, only: Int[Tensor, " b"] | None = None
    ) -> Float[Tensor, "*m w"]:
        """Return the tokens after this block; with ``only``, one of each row, ``b w``."""
        kept = x if only is None else _chosen(x, packing, only)
        x = kept + self.attention(self.norm_attention(x), packing, only)
        return x + self.mlp(self.norm_mlp(x))

    if TYPE_CHECKING:
        __call__ = forward


def _chosen(x: Float[Tensor, "*n w"], packing: Packing | None, only: Int[Tensor, " b"]) -> Float[Tensor, "b w"]:
    return x[torch.arange(len(x), device=x.device), only] if packing is None else x[packing.starts + only]


@final
class Blocks(nn.ModuleList):
    """The blocks of a tower, one after the other."""

    def __init__(self, config: TransformerConfig, causal: bool) -> None:
        super().__init__(Block(config, causal) for _ in range(config.layers))
        self.checkpointing = config.checkpointing

    def forward(
        self, x: Float[Tensor, "*n w"], packing: Packing | None = None, only: Int[Tensor, " b"] | None = None
    ) -> Float[Tensor, "*m w"]:
        """Return the tokens ``b n w`` after the last block; with a packing they are packed, ``N w``.

        With ``only``, one position of each row: the last block computes no other, and the result is ``b w``.
        """
        for index, block in enumerate(self):
            chosen = only if index == len(self) - 1 else None
            if self.checkpointing and torch.is_grad_enabled():
                x = cast(Tensor, checkpoint(block, x, packing, chosen, use_reentrant=False))
            else:
                x = block(x, packing, chosen)
        return x

    if TYPE_CHECKING:
        __call__ = forward

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

"""Tokens of many texts one after another, without the padding between them."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Packing:
    """Where the N real tokens of b texts stand among ``b t`` positions; t is the length of the longest text."""

    rows: int
    longest: int
    places: Int[Tensor, " N"]
    """Of each token among the b x t positions."""
    starts: Int[Tensor, " b"]
    """Of each text's first token among the N."""

    def pack(self, x: Float[Tensor, "b t w"]) -> Float[Tensor, "N w"]:
        """Return the real tokens."""
        return x.flatten(0, 1).index_select(0, self.places)

    def unpack(self, x: Float[Tensor, "N w"]) -> Float[Tensor, "b t w"]:
        """Return tokens at their positions, zeros at the padding."""
        whole = x.new_zeros(self.rows * self.longest, x.shape[1])
        return whole.index_copy(0, self.places, x).unflatten(0, (self.rows, self.longest))


def pack(lengths: Int[Tensor, " b"]) -> Packing:
    """Return the packing of texts of these lengths. On a GPU this waits for them."""
    longest = int(lengths.max())
    real = torch.arange(longest, device=lengths.device) < lengths[:, None]
    return Packing(len(lengths), longest, real.flatten().nonzero().squeeze(1), lengths.cumsum(0) - lengths)


@dataclass(frozen=True)
class Padding:
    """Zeros behind the tokens, so that their number divides over processes. Attention neither reads nor fills them."""

    count: int
    """Of real tokens."""
    padded: int

    def unpack(self, x: Float[Tensor, "b m w"]) -> Float[Tensor, "b n w"]:
        """Return the real tokens."""
        return x[:, : self.count]

    def pack(self, x: Float[Tensor, "b n w"]) -> Float[Tensor, "b m w"]:
        """Return them with zeros behind."""
        return functional.pad(x, (0, 0, 0, self.padded - self.count))

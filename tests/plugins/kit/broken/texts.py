"""Broken text encoders."""

from typing import Any, Final

import torch
import torch.distributed as dist
from torch import Tensor, nn
from typing_extensions import override

from broken.table import Broken, Twin, broken, twins
from mmx.config import EncoderConfig
from mmx.errors import RecipeError
from mmx.parts.batch import Encoded, Words
from mmx.parts.encoder import Mode, TextEncoder
from mmx.parts.sizes import Sizes


class Reader(TextEncoder):
    """The twin: embeddings, the mean over real tokens, a linear layer."""

    width = 8

    def __init__(self, config: EncoderConfig, sizes: Sizes) -> None:
        super().__init__()
        self.table = nn.Embedding(sizes.vocabulary, 8)
        self.out = nn.Linear(8, 8)

    @override
    def forward(self, words: Words, context: Encoded | None = None, mode: Mode = "text") -> Encoded:
        if mode != "text":
            raise RecipeError("it reads text alone")
        return self.read(words)

    def read(self, words: Words) -> Encoded:
        real = words.mask.unsqueeze(-1)
        tokens = self.table(words.ids) * real
        mean = tokens.sum(1, keepdim=True) / real.sum(1, keepdim=True)
        tokens = torch.tanh(self.out(tokens + mean))
        return Encoded(tokens[:, 0], tokens, words.mask)

    @override
    def blocks(self) -> list[nn.Module]:
        return [self.table, self.out]


class Writer(TextEncoder):
    """A twin: attention with a bias of keys, whose true gradient is zero, a softmax in fp32, and anything at padding."""

    width = 8

    def __init__(self, config: EncoderConfig, sizes: Sizes) -> None:
        super().__init__()
        self.table = nn.Embedding(sizes.vocabulary, 8)
        self.place = nn.Parameter(torch.randn(sizes.context, 8))
        self.query, self.key, self.value = (nn.Linear(8, 8) for _ in range(3))

    @override
    def forward(self, words: Words, context: Encoded | None = None, mode: Mode = "text") -> Encoded:
        if mode == "fuse":
            raise RecipeError("it reads text alone")
        tokens = self.table(words.ids) + self.place[: words.ids.shape[1]]
        scores = self.query(tokens) @ self.key(tokens).mT / 8**0.5
        scores = scores.masked_fill(~self.allowed(words.mask, mode == "decode"), torch.finfo(scores.dtype).min)
        tokens = tokens + scores.softmax(-1, dtype=torch.float32).to(scores.dtype) @ self.value(tokens)
        return Encoded(self.pooled(tokens, words.mask), tokens, words.mask)

    def allowed(self, mask: Tensor, causal: bool) -> Tensor:
        each = mask.unsqueeze(1).expand(-1, mask.shape[1], -1)
        return each & self.order(mask.shape[1]) if causal else each

    def order(self, count: int) -> Tensor:
        return torch.ones(count, count, dtype=torch.bool).tril()

    def pooled(self, tokens: Tensor, mask: Tensor) -> Tensor:
        return tokens[:, 0]

    @override
    def blocks(self) -> list[nn.Module]:
        return [self]


class AttendsToPadding(Writer):
    @override
    def allowed(self, mask: Tensor, causal: bool) -> Tensor:
        return super().allowed(torch.ones_like(mask), causal)


class PoolsPadding(Writer):
    @override
    def pooled(self, tokens: Tensor, mask: Tensor) -> Tensor:
        return tokens.mean(1)


class ReadsAhead(Writer):
    @override
    def order(self, count: int) -> Tensor:
        return torch.ones(count, count, dtype=torch.bool)


class ReadsTheNext(Writer):
    @override
    def order(self, count: int) -> Tensor:
        return super().order(count).roll(-1, 0) | super().order(count)


class FloatMask(Reader):
    @override
    def read(self, words: Words) -> Any:
        found = super().read(words)
        return Encoded(found.pooled, found.tokens, words.mask.float())


class BlocksByName(Reader):
    @override
    def blocks(self) -> Any:
        return ["table", "out"]


class LengthOfTheBatch(Reader):
    @override
    def read(self, words: Words) -> Encoded:
        found = super().read(words)
        return Encoded(found.pooled * words.mask.sum(1).amax(), found.tokens, words.mask)


class ClampsIdsInPlace(Reader):
    @override
    def read(self, words: Words) -> Encoded:
        words.ids.clamp_(max=100)
        return super().read(words)


class CutsToTheLongest(Reader):
    @override
    def read(self, words: Words) -> Encoded:
        longest = int(words.mask.sum(1).amax())
        return super().read(Words(words.ids[:, :longest], words.mask[:, :longest]))


class FirstRowsOnly(Reader):
    @override
    def read(self, words: Words) -> Encoded:
        found = super().read(words)
        return Encoded(found.pooled * (torch.arange(len(found.pooled)) < 3).unsqueeze(1), found.tokens, words.mask)


class SharesByWorldSize(Reader):
    @override
    def read(self, words: Words) -> Encoded:
        found = super().read(words)
        size = dist.get_world_size() if dist.is_initialized() else 1
        return Encoded(found.pooled / size, found.tokens, words.mask)


class ForgetsItsCounts(Reader):
    """Counts how often it has met each id, and forgets it with the process."""

    def __init__(self, config: EncoderConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.met: dict[int, int] = {}

    @override
    def read(self, words: Words) -> Encoded:
        if self.training:
            self.met[0] = self.met.get(0, 0) + 1
        found = super().read(words)
        weight = 1 / (1 + self.met.get(0, 0))
        return Encoded(weight * found.pooled, found.tokens, words.mask)


class ExponentialsOverflow(Reader):
    @override
    def read(self, words: Words) -> Encoded:
        found = super().read(words)
        large = found.pooled * 1e3
        return Encoded((large.exp() / large.exp().sum(-1, keepdim=True)), found.tokens, words.mask)


class Wavering(Reader):
    @override
    def read(self, words: Words) -> Encoded:
        found = super().read(words)
        return Encoded(found.pooled + torch.rand_like(found.pooled), found.tokens, words.mask)


class PaddingEmbedding(Reader):
    """Has a second table for the padding, which its mask then hides."""

    def __init__(self, config: EncoderConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.out.padding = nn.Parameter(torch.zeros(8))

    @override
    def read(self, words: Words) -> Encoded:
        found = super().read(words)
        return found


class FactorFromData(Reader):
    """Stops the gradient of the mean by way of ``data``."""

    @override
    def read(self, words: Words) -> Encoded:
        found = super().read(words)
        rest: Tensor = found.pooled.data
        return Encoded(found.pooled * rest, found.tokens, words.mask)


TWINS: Final[tuple[Twin, ...]] = tuple(twins("text_encoder", EncoderConfig, Reader, Writer))
BROKEN: Final[tuple[Broken, ...]] = tuple(
    broken(
        "text_encoder",
        EncoderConfig,
        {
            "shapes": (FloatMask,),
            "blocks": (BlocksByName,),
            "rows": (
                LengthOfTheBatch,
                FirstRowsOnly,
            ),
            "padding": (AttendsToPadding, PoolsPadding),
            "decode": (ReadsAhead, ReadsTheNext),
            "inputs": (ClampsIdsInPlace,),
            "meta": (CutsToTheLongest,),
            "processes": (SharesByWorldSize,),
            "state": (ForgetsItsCounts,),
            "bf16": (ExponentialsOverflow,),
            "determinism": (Wavering,),
            "reached": (PaddingEmbedding,),
            "gradients": (FactorFromData,),
        },
    )
)

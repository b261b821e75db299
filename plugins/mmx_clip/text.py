"""CLIP's text transformer."""

from typing import TYPE_CHECKING, ClassVar, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from mmx.errors import RecipeError
from mmx.parts.batch import Encoded, Words
from mmx.parts.encoder import Mode, TextEncoder
from mmx.parts.sharding import Route, Staged
from mmx.parts.sizes import Sizes
from mmx_clip.blocks import Blocks
from mmx_clip.configs import TextTransformerConfig
from mmx_clip.packing import Packing, pack


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
class TextTransformer(TextEncoder, Staged[Words]):
    """The causal text transformer of CLIP, without its projection, which is the fusion's.

    Pooled is the token at the first end of text; tokens are all positions; both are after the last norm. Padding needs
    no mask: it stands behind the end of the text, where the causal mask hides it. So it need not be computed either:
    with ``padding = "skip"`` the linear layers see only real tokens, and ``tokens`` are zeros at the padding.
    With ``tokens = "pooled"`` there are none.
    """

    entrance: ClassVar[tuple[str, ...]] = ("tokens",)

    def __init__(self, config: TextTransformerConfig, sizes: Sizes) -> None:
        super().__init__()
        self.width = config.width
        self.end = sizes.end if config.pool == "end" else None
        self.skip = config.padding == "skip"
        self.pooled_only = config.tokens == "pooled"
        self.tokens = Tokens(sizes.vocabulary, sizes.context, config.width)
        self.layers = Blocks(config, causal=config.causal)
        self.layers.initialise()
        self.norm = nn.LayerNorm(config.width)

    @override
    def forward(self, words: Words, context: Encoded | None = None, mode: Mode = "text") -> Encoded:
        if context is not None or mode != "text":
            raise RecipeError(
                f"the text encoder 'transformer' reads text alone; mode '{mode}' needs another text encoder"
            )
        return self.through(words)

    @override
    def route(self, view: Words) -> Route:
        pooled = self._pooled(view)
        return self._packing(view, pooled), pooled if self.pooled_only else None

    @override
    def enter(self, view: Words, route: Route) -> Float[Tensor, "*n w"]:
        packing, _ = route
        return self.tokens(view.ids) if packing is None else packing.pack(self.tokens(view.ids[:, : packing.longest]))

    @override
    def leave(self, tokens: Float[Tensor, "*n w"], view: Words, route: Route) -> Encoded:
        packing, _ = route
        found = self.norm(tokens)
        if self.pooled_only:
            return Encoded(pooled=found)
        if packing is not None:
            found = functional.pad(packing.unpack(found), (0, 0, 0, view.ids.shape[1] - packing.longest))
        return Encoded(found[torch.arange(len(found), device=found.device), self._pooled(view)], found, view.mask)

    def _pooled(self, words: Words) -> Int[Tensor, " b"]:
        if self.end is None:
            return torch.full_like(words.ids[:, 0], words.ids.shape[1] - 1)
        return (words.ids == self.end).int().argmax(dim=1)

    def _packing(self, words: Words, pooled: Int[Tensor, " b"]) -> Packing | None:
        """Return where the tokens are up to each text's last one (and the one that is pooled); None to compute all."""
        if not self.skip or words.ids.is_meta:  # shapes on the meta device cannot depend on lengths
            return None
        places = torch.arange(words.ids.shape[1], device=words.ids.device)
        found = pack(torch.maximum((words.mask * places).amax(dim=1), pooled) + 1)
        return None if len(found.places) == words.ids.numel() else found

    @override
    def blocks(self) -> list[nn.Module]:
        *layers, last = self.layers
        return [self.tokens, *layers, nn.ModuleList([last, self.norm])]

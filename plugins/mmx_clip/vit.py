"""CLIP's vision transformer."""

from typing import TYPE_CHECKING, ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override

from mmx.errors import RecipeError
from mmx.parts.batch import Encoded, Pixels
from mmx.parts.encoder import ImageEncoder
from mmx.parts.sharding import Route, Staged
from mmx.parts.sizes import Sizes
from mmx_clip.blocks import Blocks
from mmx_clip.configs import VitConfig


@final
class Patches(nn.Module):
    """Pixels to tokens: a linear map of each patch, behind a class token, with learned positions."""

    def __init__(self, config: VitConfig, side: int) -> None:
        super().__init__()
        self.patch = config.patch
        self.drop = config.patch_dropout
        std = config.width**-0.5
        self.linear = nn.Linear(3 * config.patch**2, config.width, bias=False)
        self.start = nn.Parameter(torch.randn(config.width) * std)
        self.position = nn.Parameter(torch.randn(side**2 + 1, config.width) * std)
        self.norm = nn.LayerNorm(config.width) if config.pre_norm else nn.Identity()

    def forward(self, pixels: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b n d"]:
        """Return the class token's position first, then the patches row by row."""
        grid = pixels.unfold(2, self.patch, self.patch).unfold(3, self.patch, self.patch)  # [b 3 rows columns p p]
        patches = self.linear(grid.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)) + self.position[1:]
        if self.training and self.drop > 0:
            patches = self._dropped(patches)
        start = (self.start + self.position[0]).to(patches.dtype).expand(len(patches), 1, -1)
        return self.norm(torch.cat([start, patches], dim=1))

    if TYPE_CHECKING:
        __call__ = forward

    def _dropped(self, patches: Float[Tensor, "b n d"]) -> Float[Tensor, "b m d"]:
        rows, count, width = patches.shape
        keep = max(1, int(count * (1 - self.drop)))
        kept = torch.rand(rows, count, device=patches.device).topk(keep, dim=1).indices
        return patches.gather(1, kept.unsqueeze(-1).expand(-1, -1, width))


@final
class Vit(ImageEncoder, Staged[Pixels]):
    """The vision transformer of CLIP, without its projection, which is the fusion's.

    Pooled is the class token, tokens are all positions (class token first; none with ``tokens = "pooled"``), both after
    the last norm.
    Weights start as in the published code: PyTorch's defaults for the blocks, positions and class token with
    standard deviation ``width ** -0.5``.

    Raises:
        RecipeError: the patch does not divide the image.
    """

    entrance: ClassVar[tuple[str, ...]] = ("patches",)

    def __init__(self, config: VitConfig, sizes: Sizes) -> None:
        super().__init__()
        if sizes.image % config.patch:
            raise RecipeError(
                f"image_encoder.patch = {config.patch} does not divide the image size {sizes.image}; "
                f"use an image size that is a multiple of {config.patch}, or another patch"
            )
        self.width = config.width
        self.patches = Patches(config, sizes.image // config.patch)
        self.pooled_only = config.tokens == "pooled"
        self.layers = Blocks(config, causal=False)
        self.norm = nn.LayerNorm(config.width)

    @override
    def forward(self, view: Pixels) -> Encoded:
        return self.through(view)

    @override
    def route(self, view: Pixels) -> Route:
        start = torch.zeros(len(view), dtype=torch.int64, device=view.pixels.device)
        return None, start if self.pooled_only else None

    @override
    def enter(self, view: Pixels, route: Route) -> Float[Tensor, "b n w"]:
        if view.hidden is not None:
            raise RecipeError("the image encoder 'vit' has no mask token, so it cannot read a view with hidden patches")
        return self.patches(view.pixels)

    @override
    def leave(self, tokens: Float[Tensor, "*n w"], view: Pixels, route: Route) -> Encoded:
        found = self.norm(tokens)
        return Encoded(pooled=found) if self.pooled_only else Encoded(pooled=found[:, 0], tokens=found)

    @override
    def blocks(self) -> list[nn.Module]:
        *layers, last = self.layers
        return [self.patches, *layers, nn.ModuleList([last, self.norm])]

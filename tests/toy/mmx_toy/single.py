"""Losses of one modality, for steps that have no other: they pull what a tower makes of a view towards a constant."""

from typing import final

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from typing_extensions import override

from mmx.learn.outputs import Outputs
from mmx.parts.batch import Batch
from mmx.parts.loss import ItemLoss
from mmx.parts.sizes import Sizes
from mmx_toy import configs


@final
class ToyLength(ItemLoss):
    """The squared length of what a tower makes of each row of one view."""

    def __init__(self, config: configs.Single, sizes: Sizes) -> None:
        super().__init__()
        self.config = config
        self.image_views = () if config.image is None else (config.image,)
        self.text_views = () if config.text is None else (config.text,)

    @override
    def forward(self, outputs: Outputs) -> Float[Tensor, " b"]:
        image, text = self.config.image, self.config.text
        encoded = [outputs.image(view) for view in (image,) if view] + [outputs.text(view) for view in (text,) if view]
        return torch.stack([one.pooled.square().sum(-1) for one in encoded]).sum(0)

    @override
    def count(self, batch: Batch) -> Shaped[Tensor, ""]:
        return torch.tensor(len(batch.keys))

"""CLIP's loss over the global batch."""

from typing import final

from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from mmx.learn.global_batch import Feature, GlobalBatch
from mmx.learn.model import Model
from mmx.parts.loss import BatchLoss
from mmx.parts.sizes import Sizes
from mmx_clip.configs import ClipLossConfig
from mmx_clip.contrastive import Groups, contrastive


@final
class ClipLoss(BatchLoss):
    """CLIP's symmetric InfoNCE (Radford et al. 2021, arXiv:2103.00020, figure 3), over the global batch of B pairs.

    With unit embeddings I and T and the learned scale s = 1 / temperature:

        L = -1/2B sum_i [ log softmax_j(s I_i T_j)_i + log softmax_j(s I_j T_i)_i ]

    Each rank returns the mean over its own rows, against the rows of all.
    """

    def __init__(self, config: ClipLossConfig, sizes: Sizes) -> None:
        super().__init__()
        self.image_views = (config.image,)
        self.text_views = (config.text,)
        self.image = Feature("image.embed", config.image)
        self.text = Feature("text.embed", config.text)
        self.group = None if config.group is None else Feature("fact", config.group)
        self.positive = config.same_group == "positive"
        self.smoothing = config.label_smoothing

    @override
    def features(self) -> tuple[Feature, ...]:
        return (self.image, self.text) if self.group is None else (self.image, self.text, self.group)

    @override
    def forward(self, whole: GlobalBatch, model: Model) -> Float[Tensor, ""]:
        groups = None if self.group is None else Groups(whole.all(self.group), self.positive)
        return contrastive(
            image=whole[self.image],
            texts=whole.all(self.text),
            scale=model.fusion.scale(),
            offset=whole.offset(self.image),
            groups=groups,
            smoothing=self.smoothing,
            exchange=whole.exchange,
        )

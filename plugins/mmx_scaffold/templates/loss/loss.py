"""The sigmoid loss (SigLIP, arXiv:2303.15343): every picture and text are judged alone, as a pair or not."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from mmx.learn.global_batch import Feature, GlobalBatch
from mmx.learn.model import Model
from mmx.parts.loss import BatchLoss
from mmx.parts.sizes import Sizes
from mmx_scaffold.templates.loss.config import ThisPartConfig


def sigmoid_loss(logits: Float[Tensor, "b B"], offset: int) -> Float[Tensor, ""]:
    """Return the mean over pictures of the sum over texts of ``-log sigmoid(z logit)``.

    Args:
        logits: of this rank's pictures with the texts of all ranks.
        offset: the column of the first picture's own text. There z is 1, elsewhere -1.
    """
    rows = torch.arange(len(logits), device=logits.device)
    signs = torch.full_like(logits, -1.0)
    signs[rows, rows + offset] = 1.0
    return -functional.logsigmoid(signs * logits).sum(dim=1).mean()


@final
class ThisPart(BatchLoss):
    """Binary cross-entropy of every picture with every text of the global batch.

    With similarities s, the fusion's factor t, a learned bias b, and z = 1 for a pair and -1 for any other two::

        loss = -1/B sum_i sum_j log sigmoid(z_ij (t s_ij + b))

    A batch loss runs no tower: it says which features it needs (``features``), and is called once a step with those of
    all rows. The mean over ranks of what it returns is the loss, so each rank has its own pictures against all texts.
    """

    def __init__(self, config: ThisPartConfig, sizes: Sizes) -> None:
        super().__init__()
        self.image_views = (config.image,)
        self.text_views = (config.text,)
        self.image = Feature("image.embed", config.image)
        self.text = Feature("text.embed", config.text)
        self.bias = nn.Parameter(torch.tensor(config.bias))

    @override
    def features(self) -> tuple[Feature, ...]:
        return (self.image, self.text)

    @override
    def forward(self, whole: GlobalBatch, model: Model) -> Float[Tensor, ""]:
        similarity = model.fusion.similarity(whole[self.image], whole.all(self.text))
        return sigmoid_loss(model.fusion.scale() * similarity + self.bias, whole.offset(self.image))

"""Two losses of the kit's own: one compares embeddings, one is a mean over words and reads tokens."""

from typing import Final, final

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from mmx.config import LossConfig
from mmx.errors import MmxError
from mmx.learn.global_batch import Feature, GlobalBatch
from mmx.learn.model import Model
from mmx.learn.outputs import Outputs
from mmx.parts.batch import Batch, Joint
from mmx.parts.fusion import Fusion
from mmx.parts.loss import BatchLoss, ItemLoss
from mmx.parts.sizes import Sizes

VIEW: Final = "clean"
IMAGE: Final = Feature("image.embed", VIEW)
TEXT: Final = Feature("text.embed", VIEW)


@final
class PartnerContrast(BatchLoss):
    """Softmax cross-entropy of this rank's images against the texts of all ranks, one way round."""

    image_views = (VIEW,)
    text_views = (VIEW,)

    def __init__(self, config: LossConfig, sizes: Sizes) -> None:
        super().__init__()

    @override
    def features(self) -> tuple[Feature, ...]:
        return (IMAGE, TEXT)

    @override
    def forward(self, whole: GlobalBatch, model: Model) -> Float[Tensor, ""]:
        logits = model.fusion.scale() * model.fusion.similarity(whole[IMAGE], whole.all(TEXT))
        target = whole.offset(IMAGE) + torch.arange(logits.shape[0], device=logits.device)
        return functional.cross_entropy(logits, target)


@final
class PartnerWords(ItemLoss):
    """Cross-entropy of the marked words from the text's tokens, the image's tokens, and what both make together.

    Parts without tokens, and fusions that do not join, are read by their pooled vectors alone.
    """

    image_views = (VIEW,)
    text_views = (VIEW,)

    def __init__(self, config: LossConfig, sizes: Sizes) -> None:
        super().__init__()
        self.image = nn.Linear(sizes.image_width, sizes.vocabulary)
        self.text = nn.Linear(sizes.text_width, sizes.vocabulary)

    @override
    def forward(self, outputs: Outputs) -> Float[Tensor, " b"]:
        image, text = outputs.image(VIEW), outputs.text(VIEW)
        logits = self.image(image.pooled if image.tokens is None else image.tokens.mean(1)).unsqueeze(1)
        logits = logits + self.text(text.pooled.unsqueeze(1) if text.tokens is None else text.tokens)
        joint = _joint(outputs)
        if joint is not None:
            logits = logits + joint.pooled.mean(-1).view(-1, 1, 1) * logits.tanh()
        labels = outputs.words(VIEW).labels
        if labels is None:
            raise ValueError(f"the text view '{VIEW}' has no labels")
        losses = functional.cross_entropy(logits.expand(*labels.shape, -1).mT, labels, reduction="none")
        return losses.sum(-1)

    @override
    def count(self, batch: Batch) -> Shaped[Tensor, ""]:
        labels = batch.texts[VIEW].labels
        if labels is None:
            raise ValueError(f"the text view '{VIEW}' has no labels")
        return (labels != -100).sum()


def _joint(outputs: Outputs) -> Joint | None:
    """Return what the fusion makes of both; None where it does not join, or joins what these towers do not give."""
    try:
        return outputs.joint(VIEW, VIEW) if joins(outputs.model.fusion) else None
    except MmxError:
        return None


def joins(fusion: Fusion) -> bool:
    """Say whether a fusion makes joint representations."""
    return fusion.offers("join")

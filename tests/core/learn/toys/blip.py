"""BLIP (Li et al. 2022, arXiv:2201.12086): one text tower read in three modes, and contrast with a momentum teacher."""

from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override

from mmx.learn.global_batch import Feature, GlobalBatch
from mmx.learn.model import Model
from mmx.parts.batch import Encoded, Joint, Words
from mmx.parts.encoder import Mode, TextEncoder
from mmx.parts.fusion import Fusion
from mmx.parts.loss import BatchLoss
from toys.clip import SHARED, Projections
from toys.data import VOCABULARY
from toys.towers import WIDTH

IMAGE, TEXT = Feature("image.embed", "clean"), Feature("text.embed", "clean")
SLOW_IMAGE, SLOW_TEXT = Feature("image.embed", "clean", by="momentum"), Feature("text.embed", "clean", by="momentum")


@final
class CrossFusion(Fusion):
    """The text tower does the fusing; it comes as an argument, so a checkpoint has its weights once."""

    width = SHARED

    def __init__(self) -> None:
        super().__init__()
        self.project = Projections()
        self.matching = nn.Linear(WIDTH, 2)
        self.language = nn.Linear(WIDTH, VOCABULARY)

    @override
    def embed_image(self, image: Encoded, reader: TextEncoder) -> Tensor:
        return F.normalize(self.project.image(image.pooled), dim=-1)

    @override
    def embed_text(self, text: Encoded) -> Tensor:
        return F.normalize(self.project.text(text.pooled), dim=-1)

    @override
    def similarity(self, images: Tensor, texts: Tensor) -> Tensor:
        return images @ texts.mT

    @override
    def scale(self) -> Tensor:
        return self.project.log_scale.exp()

    @override
    def clamp(self) -> None:
        self.project.clamp()

    @override
    def join(self, image: Encoded, words: Words, reader: TextEncoder, mode: Mode) -> Joint:
        read = reader(words, image, mode)
        return Joint(read.pooled, text=read.tokens)

    @override
    def match(self, pooled: Tensor) -> Tensor:
        return self.matching(pooled)

    @override
    def words(self, tokens: Tensor) -> Tensor:
        return self.language(tokens)


@final
class MomentumContrastive(BatchLoss):
    """ITC: the student's rows against the teacher's rows of all ranks and of earlier steps, with soft targets.

    The target is ``(1 - alpha)`` the own pair and ``alpha`` the teacher's softmax over the same columns.
    """

    image_views = ("clean",)
    text_views = ("clean",)
    teachers = ("momentum",)

    images: Tensor
    texts: Tensor

    def __init__(self, length: int = 64, alpha: float = 0.4) -> None:
        super().__init__()
        self.alpha = alpha
        self.register_buffer("images", F.normalize(torch.randn(length, SHARED), dim=-1))
        self.register_buffer("texts", F.normalize(torch.randn(length, SHARED), dim=-1))

    @override
    def features(self) -> tuple[Feature, ...]:
        return (IMAGE, TEXT, SLOW_IMAGE, SLOW_TEXT)

    @override
    def forward(self, whole: GlobalBatch, model: Model) -> Float[Tensor, ""]:
        images = torch.cat([whole.all(SLOW_IMAGE), self.images])
        texts = torch.cat([whole.all(SLOW_TEXT), self.texts])
        scale, first = model.fusion.scale(), whole.offset(IMAGE)
        by_image = self._soft(scale * whole[IMAGE] @ texts.mT, scale * whole[SLOW_IMAGE] @ texts.mT, first)
        by_text = self._soft(scale * whole[TEXT] @ images.mT, scale * whole[SLOW_TEXT] @ images.mT, first)
        return (by_image + by_text) / 2

    def _soft(self, logits: Float[Tensor, "b K"], slow: Float[Tensor, "b K"], first: int) -> Float[Tensor, ""]:
        own = F.one_hot(first + torch.arange(logits.shape[0]), logits.shape[1])
        target = self.alpha * slow.detach().softmax(-1) + (1 - self.alpha) * own
        return F.cross_entropy(logits, target)

    @override
    def after_step(self, whole: GlobalBatch, model: Model) -> None:
        for queue, pull in ((self.images, SLOW_IMAGE), (self.texts, SLOW_TEXT)):
            queue.copy_(torch.cat([whole.all(pull), queue])[: queue.shape[0]])

"""FLAVA (Singh et al. 2022, arXiv:2112.04482): a transformer over the tokens of both, and matching of given pairs."""

from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from mmx.learn.outputs import Outputs
from mmx.parts.batch import Batch, Encoded, Joint
from mmx.parts.encoder import TextEncoder
from mmx.parts.fusion import Fusion
from mmx.parts.loss import ItemLoss
from mmx.parts.report import report
from toys.clip import SHARED, Projections
from toys.towers import WIDTH, Attention, known


@final
class MergedFusion(Fusion):
    """One attention layer over a class token, the image's tokens and the text's."""

    width = SHARED
    joint_width = WIDTH

    def __init__(self) -> None:
        super().__init__()
        self.project = Projections()
        self.start = nn.Parameter(torch.randn(WIDTH))
        self.sides = nn.ModuleDict({"image": nn.Linear(WIDTH, WIDTH), "text": nn.Linear(WIDTH, WIDTH)})
        self.merge = Attention()
        self.matching = nn.Linear(WIDTH, 2)

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
    def fuse(self, image: Encoded, text: Encoded) -> Joint:
        seen, read = self.sides["image"](known(image.tokens)), self.sides["text"](known(text.tokens))
        tokens = torch.cat([self.start.expand(len(seen), 1, -1), seen, read], dim=1)
        allowed = F.pad(known(text.mask), (1 + seen.shape[1], 0), value=True)
        start, seen, read = self.merge(tokens, tokens, allowed.unsqueeze(1)).split([1, seen.shape[1], read.shape[1]], 1)
        return Joint(start.squeeze(1), seen, read)

    @override
    def match(self, pooled: Tensor) -> Tensor:
        return self.matching(pooled)


@final
class GivenPairs(ItemLoss):
    """ITM on pairs that the data made, right or wrong."""

    image_views = ("clean",)
    text_views = ("given",)
    facts = ("matched",)

    @override
    def forward(self, outputs: Outputs) -> Tensor:
        logits, matched = outputs.model.fusion.match(outputs.joint("clean", "given").pooled), outputs.fact("matched")
        report("matched right", (logits.argmax(1) == matched).double())
        return F.cross_entropy(logits, matched, reduction="none")

    @override
    def count(self, batch: Batch) -> Tensor:
        return torch.tensor(len(batch.images["clean"]))

"""Two projections, and a contrastive loss with a queue, which can be told to fail."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from mmx.learn.global_batch import Feature, GlobalBatch
from mmx.learn.model import Model
from mmx.parts.batch import Encoded
from mmx.parts.encoder import TextEncoder
from mmx.parts.fusion import Fusion
from mmx.parts.loss import BatchLoss
from mmx.parts.sizes import Sizes
from mmx_toy import configs


@final
class ToyFusion(Fusion):
    """Projects each side to the unit sphere."""

    def __init__(self, config: configs.Fusion, sizes: Sizes) -> None:
        super().__init__()
        if config.expects not in (None, sizes.image_width):
            raise ValueError(f"it wants images of width {config.expects}, and gets {sizes.image_width}")
        self.width = config.width
        self.image = nn.Linear(sizes.image_width + int(config.wrong), config.width)
        self.text = nn.Linear(sizes.text_width, config.width)
        self.log_scale = nn.Parameter(torch.tensor(1.5))

    @override
    def embed_image(self, image: Encoded, reader: TextEncoder) -> Float[Tensor, "b d"]:
        return functional.normalize(self.image(image.pooled), dim=-1)

    @override
    def embed_text(self, text: Encoded) -> Float[Tensor, "b d"]:
        return functional.normalize(self.text(text.pooled), dim=-1)

    @override
    def similarity(self, images: Float[Tensor, "i d"], texts: Float[Tensor, "j d"]) -> Float[Tensor, "i j"]:
        return images @ texts.mT

    @override
    def scale(self) -> Float[Tensor, ""]:
        return self.log_scale.exp()

    @override
    @torch.no_grad()
    def clamp(self) -> None:
        self.log_scale.clamp_(max=4.0)


@final
class ToyLoss(BatchLoss):
    """Each picture among the texts of its batch and of earlier ones."""

    queue: Tensor

    def __init__(self, config: configs.Loss, sizes: Sizes) -> None:
        super().__init__()
        self.config = config
        self.image_views, self.text_views = (config.image,), (config.text,)
        self.image, self.text = Feature("image.embed", config.image), Feature("text.embed", config.text)
        self.register_buffer("queue", torch.zeros(config.queue, sizes.embed))

    @override
    def features(self) -> tuple[Feature, ...]:
        return self.image, self.text

    @override
    def forward(self, whole: GlobalBatch, model: Model) -> Float[Tensor, ""]:
        texts = torch.cat([whole.all(self.text), self.queue])
        logits = model.fusion.scale() * model.fusion.similarity(whole[self.image], texts)
        loss = functional.cross_entropy(logits, whole.offset(self.image) + torch.arange(len(logits)))
        if whole.step == self.config.at and self.config.fail == "loss":
            return loss / 0
        if whole.step == self.config.at and self.config.fail == "gradient":
            return loss + torch.sqrt(loss.detach() * 0 + 0 * model.fusion.scale())
        return loss

    @override
    def after_step(self, whole: GlobalBatch, model: Model) -> None:
        self.queue.copy_(torch.cat([self.queue, whole.all(self.text)])[len(whole.all(self.text)) :])

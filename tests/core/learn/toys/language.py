"""item losses over words and patches: masked modelling with a head of its own, and captioning."""

from typing import Literal, final

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from typing_extensions import override

from mmx.learn.outputs import Outputs
from mmx.parts.batch import Batch
from mmx.parts.loss import ItemLoss
from toys.data import CODEBOOK, VOCABULARY
from toys.towers import WIDTH, known


def row_sums(logits: Float[Tensor, "b n v"], labels: Int[Tensor, "b n"] | None) -> Float[Tensor, " b"]:
    """Return the sum of cross-entropies over each row's labelled positions."""
    return F.cross_entropy(logits.mT, known(labels), reduction="none", ignore_index=-100).sum(1)


def labelled(labels: Tensor | None) -> Int[Tensor, ""]:
    """Return the number of labelled positions."""
    return (known(labels) != -100).sum()


@final
class MaskedWords(ItemLoss):
    """MLM on one text view; the head only trains, so it lives here and not in the model."""

    def __init__(self, view: str) -> None:
        super().__init__()
        self.view = view
        self.text_views = (view,)
        self.head = nn.Linear(WIDTH, VOCABULARY)

    @override
    def forward(self, outputs: Outputs) -> Tensor:
        return row_sums(self.head(known(outputs.text(self.view).tokens)), outputs.words(self.view).labels)

    @override
    def count(self, batch: Batch) -> Tensor:
        return labelled(batch.texts[self.view].labels)


@final
class MaskedPatches(ItemLoss):
    """MIM on one image view: predict the codebook entry of each hidden patch."""

    def __init__(self, view: str) -> None:
        super().__init__()
        self.view = view
        self.image_views = (view,)
        self.head = nn.Linear(WIDTH, CODEBOOK)

    @override
    def forward(self, outputs: Outputs) -> Tensor:
        return row_sums(self.head(known(outputs.image(self.view).tokens)), outputs.pixels(self.view).labels)

    @override
    def count(self, batch: Batch) -> Tensor:
        return labelled(batch.images[self.view].labels)


@final
class MaskedTogether(ItemLoss):
    """MMM on one side of a joint representation of two masked views (FLAVA)."""

    image_views = ("masked",)
    text_views = ("masked",)

    def __init__(self, side: Literal["image", "text"]) -> None:
        super().__init__()
        self.side = side
        self.head = nn.Linear(WIDTH, CODEBOOK if side == "image" else VOCABULARY)

    @override
    def forward(self, outputs: Outputs) -> Tensor:
        joint = outputs.joint("masked", "masked")
        if self.side == "image":
            return row_sums(self.head(known(joint.image)), outputs.pixels("masked").labels)
        return row_sums(self.head(known(joint.text)), outputs.words("masked").labels)

    @override
    def count(self, batch: Batch) -> Tensor:
        return labelled(batch.images["masked"].labels if self.side == "image" else batch.texts["masked"].labels)


@final
class Captioning(ItemLoss):
    """LM over an image; the head is the fusion's, since captioning needs it after training."""

    image_views = ("clean",)
    text_views = ("clean",)

    @override
    def forward(self, outputs: Outputs) -> Tensor:
        tokens = known(outputs.joint("clean", "clean", "decode").text)
        return row_sums(outputs.model.fusion.words(tokens), outputs.words("clean").labels)

    @override
    def count(self, batch: Batch) -> Tensor:
        return labelled(batch.texts["clean"].labels)

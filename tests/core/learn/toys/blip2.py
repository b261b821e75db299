"""BLIP-2, first stage (Li et al. 2023, arXiv:2301.12597): queries between a frozen image tower and the text tower."""

from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override

from mmx.parts.batch import Encoded, Joint, Words
from mmx.parts.encoder import Mode, TextEncoder
from mmx.parts.fusion import Fusion
from toys.clip import SHARED, Projections
from toys.data import VOCABULARY
from toys.towers import WIDTH, Attention, WordTower, known

QUERIES = 3


@final
class QueryFusion(Fusion):
    """A Q-Former: queries share the text tower's self-attention and cross-attend to the image.

    An image has one embedding a query; its similarity with a text is that of the best query.
    """

    width = SHARED

    def __init__(self) -> None:
        super().__init__()
        self.project = Projections()
        self.queries = nn.Parameter(torch.randn(QUERIES, WIDTH))
        self.cross = Attention()
        self.matching = nn.Linear(WIDTH, 2)
        self.language = nn.Linear(WIDTH, VOCABULARY)

    @override
    def embed_image(self, image: Encoded, reader: TextEncoder) -> Float[Tensor, "b q d"]:
        return F.normalize(self.project.image(self._queried(image, reader)), dim=-1)

    def _queried(self, image: Encoded, reader: TextEncoder) -> Float[Tensor, "b q w"]:
        assert isinstance(reader, WordTower)
        queries = self.queries.expand(image.pooled.shape[0], -1, -1)
        return self.cross(reader.attend(queries, queries, None), known(image.tokens), None)

    @override
    def embed_text(self, text: Encoded) -> Tensor:
        return F.normalize(self.project.text(text.pooled), dim=-1)

    @override
    def similarity(self, images: Float[Tensor, "i q d"], texts: Float[Tensor, "j d"]) -> Float[Tensor, "i j"]:
        return torch.einsum("iqd,jd->ijq", images, texts).amax(-1)

    @override
    def scale(self) -> Tensor:
        return self.project.log_scale.exp()

    @override
    def clamp(self) -> None:
        self.project.clamp()

    @override
    def join(self, image: Encoded, words: Words, reader: TextEncoder, mode: Mode) -> Joint:
        queried = self._queried(image, reader)
        read = reader(words, Encoded(queried.mean(1), queried), mode)
        return Joint(queried.mean(1) + read.pooled, queried, read.tokens)

    @override
    def match(self, pooled: Tensor) -> Tensor:
        return self.matching(pooled)

    @override
    def words(self, tokens: Tensor) -> Tensor:
        return self.language(tokens)

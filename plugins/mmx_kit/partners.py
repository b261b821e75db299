"""Small parts of the kit's own, which a part under check works together with: towers, a fusion, a model."""

import math
from dataclasses import replace
from typing import Final, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from mmx.config import EncoderConfig, PartConfig
from mmx.errors import RecipeError
from mmx.learn.model import Model
from mmx.parts.batch import Encoded, Joint, Pixels, Words
from mmx.parts.encoder import ImageEncoder, Mode, TextEncoder
from mmx.parts.fusion import Fusion
from mmx.parts.sizes import Sizes
from mmx.parts.transform import Preprocess
from mmx_kit.span import SPAN

SIZES: Final = Sizes(image=32, vocabulary=128, context=16, pad=0, start=126, end=127)
"""What encoders are built with."""
ROWS: Final = 7
"""Rows of an example batch: not a multiple of 2 or 4, so that pieces are of unlike sizes."""
PREPROCESS: Final = Preprocess(SIZES.image, (0.5, 0.4, 0.45), (0.25, 0.3, 0.2), "squash")

_PATCH: Final = 8
PATCHES: Final = (SIZES.image // _PATCH) ** 2
"""Tokens that the kit's image encoder gives, one for each patch."""
_MOST: Final = math.log(100.0)


@final
class PartnerImages(ImageEncoder):
    """Embeds patches of 8 pixels and mixes each with the mean of all: 16 tokens of 32 features."""

    width = 32

    def __init__(self, config: EncoderConfig, sizes: Sizes) -> None:
        super().__init__()
        self.embed = nn.Linear(3 * _PATCH**2, self.width)
        nn.init.normal_(self.embed.weight, std=0.15)  # so that random pictures are told apart
        self.position = nn.Parameter(torch.randn((sizes.image // _PATCH) ** 2, self.width) * 0.5)
        self.unseen = nn.Parameter(torch.randn(self.width) * 0.5)
        self.mix = nn.Linear(self.width, self.width)

    @override
    def forward(self, view: Pixels) -> Encoded:
        cut = view.pixels.unfold(2, _PATCH, _PATCH).unfold(3, _PATCH, _PATCH)
        tokens = self.embed(cut.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2))
        if view.hidden is not None:
            tokens = torch.where(view.hidden.unsqueeze(-1), self.unseen.to(tokens), tokens)
        tokens = tokens + self.position
        tokens = torch.tanh(self.mix(tokens + tokens.mean(1, keepdim=True)))
        return Encoded(tokens.mean(1), tokens)

    @override
    def blocks(self) -> list[nn.Module]:
        return [self]


@final
class PartnerAttention(nn.Module):
    """One head of attention, added to what it was given."""

    def __init__(self, width: int, context_width: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(context_width, width, bias=False)
        self.value = nn.Linear(context_width, width)

    @override
    def forward(
        self, tokens: Float[Tensor, "b t w"], context: Float[Tensor, "b n v"], allowed: Bool[Tensor, "b #t n"] | None
    ) -> Float[Tensor, "b t w"]:
        scores = self.query(tokens) @ self.key(context).mT / tokens.shape[-1] ** 0.5
        if allowed is not None:
            scores = scores.masked_fill(~allowed, -torch.inf)
        return tokens + scores.softmax(-1) @ self.value(context)


@final
class PartnerTexts(TextEncoder):
    """Reads words alone, over an image's tokens ("fuse"), or over them and left to right ("decode"); 24 features.

    Its cross-attention reads image tokens of any width, cut or filled with zeros to its own.
    """

    width = 24

    def __init__(self, config: EncoderConfig, sizes: Sizes) -> None:
        super().__init__()
        self.embed = nn.Embedding(sizes.vocabulary, self.width)
        self.position = nn.Parameter(torch.randn(sizes.context, self.width) * 0.5)
        self.attend = PartnerAttention(self.width, self.width)
        self.cross = PartnerAttention(self.width, self.width)
        self.out = nn.Linear(self.width, self.width)

    @override
    def forward(self, words: Words, context: Encoded | None = None, mode: Mode = "text") -> Encoded:
        tokens = self.embed(words.ids) + self.position[: words.ids.shape[1]]
        allowed = words.mask.unsqueeze(1)
        if mode == "decode":
            allowed = allowed & torch.ones(*[tokens.shape[1]] * 2, dtype=torch.bool, device=tokens.device).tril()
        tokens = self.attend(tokens, tokens, allowed)
        if mode != "text":
            tokens = self._read(tokens, context)
        tokens = torch.tanh(self.out(tokens))
        real = words.mask.unsqueeze(-1)
        return Encoded((tokens * real).sum(1) / real.sum(1).clamp(min=1), tokens, words.mask)

    def _read(self, tokens: Float[Tensor, "b t w"], context: Encoded | None) -> Float[Tensor, "b t w"]:
        if context is None or context.tokens is None:
            raise RecipeError("the kit's text encoder reads an image's tokens in this mode, and was given none")
        image = fitted(context.tokens, self.width)
        return self.cross(tokens, image, None if context.mask is None else context.mask.unsqueeze(1))

    @override
    def blocks(self) -> list[nn.Module]:
        return [self]


@final
class PartnerFusion(Fusion):
    """Projects both sides to 16 features on the unit sphere, with a temperature; joins through the text encoder."""

    width = 16

    def __init__(self, config: PartConfig, sizes: Sizes) -> None:
        super().__init__()
        self.image = nn.Linear(sizes.image_width, self.width)
        self.text = nn.Linear(sizes.text_width, self.width)
        self.matching = nn.Linear(sizes.text_width, 2)
        self.language = nn.Linear(sizes.text_width, sizes.vocabulary)
        self.log_scale = nn.Parameter(torch.tensor(math.log(5.0)))

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
        self.log_scale.clamp_(0.0, _MOST)

    @override
    def join(self, image: Encoded, words: Words, reader: TextEncoder, mode: Mode) -> Joint:
        read = reader(words, image, mode)
        seen = None if image.tokens is None else fitted(image.tokens, reader.width) + read.pooled.unsqueeze(1)
        return Joint(read.pooled, seen, read.tokens)

    @override
    def match(self, pooled: Float[Tensor, "b w"]) -> Float[Tensor, "b 2"]:
        return self.matching(pooled)

    @override
    def words(self, tokens: Float[Tensor, "b t w"]) -> Float[Tensor, "b t v"]:
        return self.language(tokens)


def fitted(tokens: Float[Tensor, "b n v"], width: int) -> Float[Tensor, "b n w"]:
    """Return tokens of another width, cut or filled with zeros."""
    return functional.pad(tokens, (0, width - tokens.shape[-1]))


def partner_model(
    image: ImageEncoder | None = None, text: TextEncoder | None = None, fusion: Fusion | None = None
) -> Model:
    """Return a model of the given parts, with the kit's own where none is given."""
    image = image or PartnerImages(EncoderConfig(name="partner"), SIZES)
    text = text or PartnerTexts(EncoderConfig(name="partner"), SIZES)
    return Model(image, text, fusion or PartnerFusion(PartConfig(name="partner"), widths(image, text)), PREPROCESS)


def widths(image: ImageEncoder, text: TextEncoder) -> Sizes:
    """Return the sizes that a fusion is built with."""
    return replace(SIZES, image_width=image.width, text_width=text.width)


def sizes_of(model: Model) -> Sizes:
    """Return the sizes that a loss is built with."""
    known = widths(model.image_encoder, model.text_encoder)
    steps = {"steps": SPAN.steps, "epoch_steps": SPAN.epoch_steps}
    return replace(known, embed=model.fusion.width, joint=model.fusion.joint_width, **steps)

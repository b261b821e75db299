"""The features of the whole global batch, as batch losses see them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast, final

import torch
from jaxtyping import Int, Shaped
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from mmx.parts.batch import Encoded, Joint, Words
from mmx.parts.group import Group
from mmx.parts.precision import to_fp32

if TYPE_CHECKING:
    from mmx.learn.model import Model

FeatureKind = Literal[
    "image.embed", "text.embed", "image.pooled", "text.pooled", "image.tokens", "text.tokens", "words", "fact"
]
Computing = Callable[[], AbstractContextManager[object]]
"""Makes the context in which an engine computes, such as autocast."""


@dataclass(frozen=True)
class Feature:
    """One feature that a batch loss declares: of which view (or which fact), computed by whom."""

    kind: FeatureKind
    """``embed``: the fusion's unit-length vector; ``pooled`` and ``tokens``: the encoder's own; ``words``: ids and mask,
    ``b 2 t``; ``fact``: a number of each row."""
    view: str
    """The view's name in the recipe; of a fact, its name."""
    by: str = "student"
    """"student", or the name of a teacher."""


def pairs_of(image_view: str, text_view: str) -> tuple[Feature, ...]:
    """Return the pulls of a loss that joins images and texts of any rows, by :meth:`GlobalBatch.pairs`."""
    return Feature("image.pooled", image_view), Feature("image.tokens", image_view), Feature("words", text_view)


def read_alone(text_view: str) -> tuple[Feature, ...]:
    """Return what stands for the words of a view where the fusion takes texts as they were read alone."""
    return Feature("text.pooled", text_view), Feature("text.tokens", text_view)


@final
class GlobalBatch:
    """Pulled features of this rank's rows, and of all ranks', each gathered once.

    One rule makes gradients right on any number of ranks: the mean over ranks of what a loss returns is the
    loss, gather's backward sums, and the engine averages the gradients of parameters.
    """

    def __init__(
        self,
        features: Mapping[Feature, Tensor],
        group: Group,
        step: int,
        pieces: int = 1,
        computing: Computing = nullcontext,
    ) -> None:
        self._features = features
        self._group = group
        self._gathered: dict[Feature, Tensor] = {}
        self._pieces = pieces
        self._computing = computing
        self.step = step

    def __contains__(self, pull: Feature) -> bool:
        return pull in self._features

    def __getitem__(self, pull: Feature) -> Shaped[Tensor, "b ..."]:
        """Return the rows of this rank."""
        return self._features[pull]

    def all(self, pull: Feature) -> Shaped[Tensor, "B ..."]:
        """Return the rows of all data-parallel ranks, in rank order."""
        if pull not in self._gathered:
            self._gathered[pull] = self._group.gather(self._features[pull])
        return self._gathered[pull]

    def pairs(
        self,
        model: Model,
        image_view: str,
        text_view: str,
        images: Int[Tensor, " p"],
        texts: Int[Tensor, " p"],
        head: Callable[[Joint], Shaped[Tensor, "p ..."]],
    ) -> Shaped[Tensor, "p ..."]:
        """Return what a head makes of the joint representation of pairs, in fp32 at least.

        Rows are counted over all ranks, so that negatives can come from anywhere; the gradient reaches the towers of the
        rank that a row is from. The loss declares :func:`pairs_of` these views. It is computed in as many pieces as there
        are micro-batches, each once more for its gradient, so that the memory is that of a micro-batch.

        Args:
            model: the model that the loss is given.
            image_view: the view that ``images`` counts.
            text_view: the view that ``texts`` counts.
            images: the row of each pair's image.
            texts: the row of each pair's text.
            head: makes what the loss needs of joint representations, such as ``fusion.match(joint.pooled)``.
        """

        def piece(images: Tensor, texts: Tensor) -> Tensor:
            with self._computing():
                image, words, text = self._encoded(model, image_view, text_view, images, texts)
                return to_fp32(head(model.join(image, words, text=text)))

        if self._pieces == 1:
            return piece(images, texts)
        cut = zip(images.chunk(self._pieces), texts.chunk(self._pieces), strict=True)
        return torch.cat([cast(Tensor, checkpoint(piece, *rows, use_reentrant=False)) for rows in cut])

    def _encoded(
        self, model: Model, image_view: str, text_view: str, images: Tensor, texts: Tensor
    ) -> tuple[Encoded, Words, Encoded | None]:
        """Return images and texts of any rows, in the precision of the model's weights."""
        dtype = next((p.dtype for p in model.text_encoder.parameters() if p.ndim > 0), model.mean.dtype)
        pooled, tokens, words = (self.all(pull) for pull in pairs_of(image_view, text_view))
        image = Encoded(pooled[images].to(dtype), tokens[images].to(dtype))
        ids, mask = words[texts].unbind(1)
        chosen = Words(ids, mask == 1)
        if not model.fusion.offers("fuse"):
            return image, chosen, None
        pooled, tokens = (self.all(pull)[texts].to(dtype) for pull in read_alone(text_view))
        return image, chosen, Encoded(pooled, tokens, chosen.mask)

    def gather(self, rows: Shaped[Tensor, "b ..."]) -> Shaped[Tensor, "B ..."]:
        """Gather something computed from the rows of this rank."""
        return self._group.gather(rows)

    def exchange(self, columns: Shaped[Tensor, "B ..."]) -> Shaped[Tensor, "W b ..."]:
        """Give each rank what was computed here for its rows; return what every rank computed for this rank's."""
        return self._group.exchange(columns.unflatten(0, (self._group.size, -1)))

    def here(self, rows: Shaped[Tensor, "B ..."]) -> Shaped[Tensor, "b ..."]:
        """Return this rank's part of something that has the rows of all."""
        count = rows.shape[0] // self._group.size
        return rows[self._group.rank * count : (self._group.rank + 1) * count]

    def offset(self, pull: Feature) -> int:
        """Return the index, among all rows, of this rank's first row."""
        return self._group.rank * self._features[pull].shape[0]

    @property
    def world(self) -> int:
        """The number of data-parallel ranks."""
        return self._group.size

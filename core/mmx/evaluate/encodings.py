"""The embeddings of a dataset's pictures and captions, made in one pass and kept on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mmx.data.permute import seed_of
from mmx.data.views import Skipped
from mmx.evaluate.reading import EncodePass
from mmx.evaluate.samples import Samples
from mmx.evaluate.texts import embed_here
from mmx.parts.batch import Pixels
from mmx.parts.dataset import Dataset
from mmx.parts.evaluator import EvalModel

Captions = Literal["none", "first", "all"]
"""Which captions of a sample are encoded."""


@final
@dataclass(frozen=True)
class Encodings:
    """What a pass found, alike on all ranks: ``m`` samples in the dataset's order, and ``k`` captions in theirs."""

    indices: Int[Tensor, " m"]
    """Where the samples are in the dataset; those that could not be used are not among them."""
    images: Float[Tensor, "m *q d"] | None
    """Unit vectors, fp32 on the CPU; None where pictures were left out."""
    texts: Float[Tensor, "k d"] | None
    """Unit vectors, fp32 on the CPU; None where captions were left out."""
    owners: Int[Tensor, " k"]
    """The sample that each caption belongs to, as a row of ``images``."""
    same: Int[Tensor, " k"]
    """A number of each caption's text: equal for equal captions."""
    bad: Sequence[Skipped]
    """Samples that could not be used, and why."""


@torch.no_grad()
def encode(
    subject: EvalModel,
    dataset: Dataset,
    batch: int,
    images: bool = True,
    captions: Captions = "none",
    limit: int | None = None,
) -> Encodings:
    """Embed a dataset. Each picture and each caption is encoded on one rank.

    Args:
        subject: the model, its ranks and data workers.
        dataset: what is read.
        batch: pictures or captions encoded at once, at most.
        images: whether pictures are embedded.
        captions: which captions of a sample are embedded; a sample without any is bad unless ``none``.
        limit: how many samples are read, from the first; all if not given.

    Raises:
        DataError: the dataset cannot be read, or too many samples are bad.
    """
    found = EncodePass(subject, dataset, batch, images, captions != "none", limit)
    kept = _Kept(subject, captions, batch)
    for samples in found:
        kept.add(samples)
    return kept.gathered(found.bad, images)


@final
class _Kept:
    """This rank's rows. Equal captions are encoded once."""

    def __init__(self, subject: EvalModel, captions: Captions, batch: int) -> None:
        self._subject, self._batch = subject, batch
        self._most = {"none": 0, "first": 1, "all": None}[captions]
        self._indices: list[int] = []
        self._images: list[Tensor] = []
        self._known: dict[str, int] = {}
        """Where each caption's vector is in ``_texts``."""
        self._texts: list[Tensor] = []
        self._captions: list[tuple[int, int, int]] = []
        """Owner, place in ``_texts`` and number of each caption."""

    def add(self, samples: Samples) -> None:
        """Encode some samples."""
        self._indices += samples.indices
        if samples.pixels is not None:
            self._images.append(embedded(self._subject, samples.pixels))
        chosen = [
            (i, text)
            for i, texts in zip(samples.indices, samples.captions, strict=True)
            for text in texts[: self._most]
        ]
        new = [text for text in dict.fromkeys(text for _, text in chosen) if text not in self._known]
        if new:
            self._texts.append(embed_here(self._subject, new, self._batch))
            self._known |= {text: len(self._known) + place for place, text in enumerate(new)}
        self._captions += [(index, self._known[text], seed_of(text)) for index, text in chosen]

    def gathered(self, bad: Sequence[Skipped], images: bool) -> Encodings:
        """Put the rows of all ranks together."""
        indices = self._gather(torch.tensor(self._indices, dtype=torch.int64))
        captions = torch.tensor(self._captions, dtype=torch.int64).view(-1, 3)
        pictures = texts = None
        if images:
            blank = Pixels(torch.zeros(1, 3, *2 * [self._subject.preprocess.size], dtype=torch.uint8))
            pictures = self._gather(torch.cat(self._images) if self._images else embedded(self._subject, blank)[:0])
        if self._most != 0:
            unique = torch.cat(self._texts) if self._texts else embed_here(self._subject, [], self._batch)
            texts = self._gather(unique[captions[:, 1]])
        owners, same = (self._gather(captions[:, column].contiguous()) for column in (0, 2))
        return Encodings(indices, pictures, texts, torch.searchsorted(indices, owners), same, tuple(bad))

    def _gather(self, rows: Tensor) -> Tensor:
        return (
            rows
            if self._subject.group is None
            else self._subject.gather(rows.to(self._subject.model.mean.device)).cpu()
        )


def embedded(subject: EvalModel, pixels: Pixels) -> Float[Tensor, "m *q d"]:
    """Return embeddings of pictures, on the CPU in fp32."""
    return subject.model.embed_image(pixels.to(subject.model.mean.device)).float().cpu()

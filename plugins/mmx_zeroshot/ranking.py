"""Class names ranked for pictures as they come, keeping a few numbers of each picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mmx.errors import DataError
from mmx.parts.batch import Pixels
from mmx.parts.evaluator import EvalModel

K: Final = (1, 5)
"""Accuracies are among so many best names."""
_GUESSES: Final = 5


@final
@dataclass(frozen=True)
class Ranked:
    """What is known of ``m`` pictures, in the dataset's order, with ``g`` guesses each (5, or all names if fewer)."""

    indices: Int[Tensor, " m"]
    """Where they are in the dataset."""
    labels: Int[Tensor, " m"]
    ranks: Int[Tensor, " m"]
    """1 and the number of names that score better than the true one."""
    best: Int[Tensor, " m"]
    """The name that scores best."""
    hits: Bool[Tensor, "m 2"]
    """Whether the true name is among the 1 and the 5 best."""
    among_own: Mapping[str, Bool[Tensor, "m 2"]]
    """The same among the names of each further group; False for pictures of others."""
    guesses: Int[Tensor, "m g"]
    """The best names."""
    scores: Float[Tensor, "m g"]
    """Their scores."""
    own: Float[Tensor, " m"]
    """The true name's score."""

    def members(self, labels: Sequence[int]) -> Int[Tensor, " p"]:
        """Return the rows of pictures with these labels."""
        return torch.isin(self.labels, torch.tensor(list(labels), dtype=torch.int64)).nonzero().flatten()


@final
class Ranking:
    """Scores pictures against class vectors.

    Args:
        subject: the model and its ranks.
        classes: unit vectors of the names.
        groups: labels by group; all but the first are ranked among their own names too.
    """

    def __init__(self, subject: EvalModel, classes: Float[Tensor, "c d"], groups: Mapping[str, Sequence[int]]) -> None:
        self._subject = subject
        self._device = subject.model.mean.device
        self._classes = classes.to(self._device)
        further = list(groups.items())[1:]
        self._groups = {name: torch.tensor(sorted(labels), device=self._device) for name, labels in further}
        self._whole: list[Int[Tensor, "b n"]] = []
        self._real: list[Float[Tensor, "b r"]] = []

    def add(self, indices: Sequence[int], labels: Sequence[int], pixels: Pixels) -> None:
        """Rank the names for some pictures.

        Raises:
            DataError: a label is none of the classes.
        """
        count = len(self._classes)
        wrong = [label for label in labels if not 0 <= label < count]
        if wrong:
            raise DataError(
                f"a sample of the zero-shot dataset has the label {wrong[0]}, but there are {count} classes"
            )
        images = self._subject.model.embed_image(pixels)
        scores = self._subject.model.fusion.similarity(images, self._classes.to(images.dtype)).float()
        truth = torch.tensor(labels, device=self._device)
        own = scores.gather(1, truth[:, None])
        values, guesses = scores.topk(min(_GUESSES, count))
        columns = [torch.tensor(indices, device=self._device)[:, None], truth[:, None]]
        columns += [1 + (scores > own).sum(dim=1, keepdim=True), scores.argmax(dim=1, keepdim=True)]
        columns += [_hits(scores, truth)]
        for kept in self._groups.values():
            place = torch.searchsorted(kept, truth).clamp(max=len(kept) - 1)
            columns += [_hits(scores[:, kept], place) * (kept[place] == truth)[:, None]]
        self._whole.append(torch.cat([*columns, guesses], dim=1))
        self._real.append(torch.cat([own, values], dim=1))

    def gathered(self) -> Ranked:
        """Return what was found on all ranks."""
        guesses = min(_GUESSES, len(self._classes))
        widths = [1, 1, 1, 1, 2, *([2] * len(self._groups)), guesses]
        whole = self._all(self._whole, torch.zeros(0, sum(widths), dtype=torch.int64, device=self._device))
        real = self._all(self._real, torch.zeros(0, 1 + guesses, device=self._device))
        indices, labels, ranks, best, hits, *own, names = whole.split(widths, dim=1)
        return Ranked(
            indices=indices.flatten(),
            labels=labels.flatten(),
            ranks=ranks.flatten(),
            best=best.flatten(),
            hits=hits.bool(),
            among_own={name: found.bool() for name, found in zip(self._groups, own, strict=True)},
            guesses=names,
            scores=real[:, 1:],
            own=real[:, 0],
        )

    def _all(self, pieces: Sequence[Tensor], none: Tensor) -> Tensor:
        return self._subject.gather(torch.cat([none, *pieces])).cpu()


def _hits(scores: Float[Tensor, "b c"], truth: Int[Tensor, " b"]) -> Int[Tensor, "b 2"]:
    """Say whether the truth is among the 1 and the 5 that score best; of equal scores, the first ones are better."""
    first = scores.argmax(dim=1) == truth
    among = scores.topk(min(K[1], scores.shape[1])).indices == truth[:, None]
    return torch.stack([first, among.any(dim=1)], dim=1).long()

"""The features of the whole global batch, as batch losses see them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, final

from jaxtyping import Shaped
from torch import Tensor

from mmx.parts.group import Group

FeatureKind = Literal["image.embed", "text.embed", "image.pooled", "text.pooled", "fact"]


@dataclass(frozen=True)
class Feature:
    """One feature that a batch loss declares: of which view (or which fact), computed by whom."""

    kind: FeatureKind
    """``embed``: the fusion's unit-length vector; ``pooled``: the encoder's own; ``fact``: a number of each row."""
    view: str
    """The view's name in the recipe; of a fact, its name."""
    by: str = "student"
    """"student", or the name of a teacher."""


@final
class GlobalBatch:
    """Pulled features of this rank's rows, and of all ranks', each gathered once.

    One rule makes gradients right on any number of ranks: the mean over ranks of what a loss returns is the
    loss, gather's backward sums, and the engine averages the gradients of parameters.
    """

    def __init__(self, features: Mapping[Feature, Tensor], group: Group, step: int) -> None:
        self._features = features
        self._group = group
        self._gathered: dict[Feature, Tensor] = {}
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

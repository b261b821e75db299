"""Where the centre of points is: a kind of part, and the first of them."""

from abc import ABC, abstractmethod
from typing import final

from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from mmx_geometry.configs import MedianConfig


class Centre(ABC):
    """Says where the centre of points is. Built as ``Class(config)``."""

    @abstractmethod
    def of(self, points: Float[Tensor, "n d"]) -> Float[Tensor, " d"]:
        """Return the centre; there is at least one point."""


@final
class Median(Centre):
    """The median of each coordinate; of an even count, the lower of the two in the middle."""

    def __init__(self, config: MedianConfig) -> None:
        pass

    @override
    def of(self, points: Float[Tensor, "n d"]) -> Float[Tensor, " d"]:
        return points.median(dim=0).values

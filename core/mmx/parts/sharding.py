"""How towers may stand on several processes: blocks cut over some, one after another over some, tokens split over some.

An engine that divides models looks for these contracts and nothing else: a tower made of such blocks needs no more.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from jaxtyping import Shaped
from torch import Tensor, nn

from mmx.parts.batch import Encoded, Pixels, Words

View = TypeVar("View", Pixels, Words)
Route = tuple[Any, ...]


@dataclass(frozen=True)
class Cut:
    """How a module is divided over tensor-parallel processes (Shoeybi et al. 2019, arXiv:1909.08053).

    A module class says so in a class attribute ``cut``. Between its column and row layers each process computes its
    own part of the features; what comes out of a row layer is summed over processes, so that it is whole again.
    """

    columns: Mapping[str, int]
    """``nn.Linear`` children whose outputs are divided, each with the number of equal matrices fused in it (3 for qkv)."""
    rows: tuple[str, ...]
    """``nn.Linear`` children whose inputs are divided."""
    divided: tuple[str, ...] = field(default=())
    """Whole-number attributes that count what a process has of the divided features, such as ``heads``."""


def cut_of(module: nn.Module) -> Cut | None:
    """Return how a module is cut, None if its class does not say."""
    found = getattr(type(module), "cut", None)
    return found if isinstance(found, Cut) else None


class TokenSplit(ABC):
    """Divides tokens over the tensor-parallel processes, between the layers that are cut (Korthikanti et al. 2022).

    Arithmetic of norms and residuals is then done once, and its activations are kept once.
    """

    @abstractmethod
    def split(self, tokens: Shaped[Tensor, "b n w"]) -> Shaped[Tensor, "b m w"]:
        """Return this process's tokens; behind the last are zeros, so that all processes have equally many."""

    @abstractmethod
    def join(self, tokens: Shaped[Tensor, "b m w"], count: int) -> Shaped[Tensor, "b n w"]:
        """Return the tokens of all processes, without the zeros behind ``count``."""

    @abstractmethod
    def padded(self, count: int) -> int:
        """Return how many tokens there are with the zeros behind them."""


class Stack(nn.ModuleList, ABC):
    """The blocks of a tower, one after the other. ``forward(tokens, *route)`` runs those of this process.

    An engine sets the attributes; a stack heeds them.
    """

    def __init__(self, blocks: "list[nn.Module]") -> None:
        super().__init__(blocks)
        self.span = range(len(blocks))
        """Which blocks this process runs."""
        self.checkpointing = False
        """Recompute each block in the backward pass."""
        self.tokens: TokenSplit | None = None
        """How tokens are divided; None where each process has them all."""


class Staged(ABC, Generic[View]):
    """A tower in three parts, so that a pipeline can put its blocks on several processes.

    ``forward`` is ``leave(layers(enter(view, route), *route), view, route)`` with ``route = self.route(view)``.
    Every process has the data, so only tokens travel. Inherit from it beside the encoder's contract.
    """

    layers: Stack
    entrance: ClassVar[tuple[str, ...]]
    """Children and parameters that ``enter`` uses; the rest, but for the blocks, is used by ``leave``."""

    @abstractmethod
    def route(self, view: View) -> Route:
        """Return what blocks need besides tokens; from the data alone, since each process makes its own."""

    @abstractmethod
    def enter(self, view: View, route: Route) -> Tensor:
        """Return the tokens before the first block."""

    @abstractmethod
    def leave(self, tokens: Tensor, view: View, route: Route) -> Encoded:
        """Return what the tower makes of the tokens after the last block."""

    def through(self, view: View) -> Encoded:
        """Run all three parts in this process."""
        route = self.route(view)
        return self.leave(self.layers(self.enter(view, route), *route), view, route)

"""The contract of engines: the one seam to distributed execution."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

from mmx.parts.group import Group
from mmx.parts.lazy import Tensors

if TYPE_CHECKING:
    from mmx.learn.objective import Objective
    from mmx.parts.batch import Batch

T = TypeVar("T")


class Engine(ABC):
    """Owns devices, processes and precision. Built as ``Class(config)``.

    Where there are several processes, each calls every method, and in the same order.
    """

    device: torch.device
    group: Group
    """The data-parallel ranks."""
    main: bool
    """Whether this process writes files and prints."""
    processes: int = 1
    """How many there are, those that share a data-parallel rank too."""

    scaled: bool
    """Whether gradients are scaled (fp16), so that an overflow skips a step instead of being an error."""

    @abstractmethod
    def describe(self) -> str:
        """Name devices and precision, for the terminal and the report."""

    @abstractmethod
    def prepare(self, objective: "Objective", optimizer: torch.optim.Optimizer) -> None:
        """Wrap, divide and compile an objective that is on ``device`` and has the weights to start from.

        Called once, before the first step and before ``load``. What cannot be divided as the options say is refused.

        Raises:
            RecipeError: why, and the nearest options that can be.
        """

    @abstractmethod
    def backward(self, batch: "Batch", micro_batches: int) -> None:
        """Add the gradients of one batch (this rank's rows), exactly as if it had been one micro-batch.

        Afterwards ``objective.parts`` has the losses of this rank's rows, in every process.
        """

    @abstractmethod
    def clip(self, norm: float | None) -> float:
        """Clip the gradient to a norm, if one is given, and return the norm before clipping."""

    @abstractmethod
    def step(self) -> bool:
        """Take the optimizer's step and zero the gradients. False when a scaler skipped it."""

    @abstractmethod
    def weights(self) -> Tensors:
        """Return the objective's whole tensors by name, in the precision that is trained.

        Every process returns the same names. Where a tensor lies in parts, it is a ``LazyTensor``, put together when all
        ask for it; the main process gets it.
        """

    @abstractmethod
    def gradients(self) -> dict[str, Tensor]:
        """Return the whole gradients by the parameters' names, before ``clip``; other processes get none."""

    def reached(self) -> set[str]:
        """Return the names of parameters that have a gradient in this process, before ``clip``; others will not move."""
        return set(self.gradients())

    @abstractmethod
    def state(self) -> tuple[Tensors, dict[str, Any]]:
        """Return what the engine adds to a checkpoint (optimizer, scaler): whole tensors by name, and plain values.

        Names and shapes do not depend on the layout. Tensors are as in ``weights``.
        """

    @abstractmethod
    def load(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Take back what ``state`` returned, under any layout."""

    def everyone(self, value: T) -> list[T]:
        """Return what every process gave, in the order of their ranks."""
        return [value]

    def close(self) -> None:  # noqa: B027 most engines have nothing to end
        """End what connects the processes. Called once, when the run has ended."""

"""The contract of engines: the one seam to distributed execution."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mmx.learn.group import Group

if TYPE_CHECKING:
    from mmx.learn.objective import Objective
    from mmx.parts.batch import Batch


class Engine(ABC):
    """Owns devices, processes and precision. Built as ``Class(config)``."""

    device: torch.device
    group: Group
    """The data-parallel ranks."""
    main: bool
    """Whether this process writes files and prints."""

    scaled: bool
    """Whether gradients are scaled (fp16), so that an overflow skips a step instead of being an error."""

    @abstractmethod
    def describe(self) -> str:
        """Name devices and precision, for the terminal and the report."""

    @abstractmethod
    def prepare(self, objective: "Objective", optimizer: torch.optim.Optimizer) -> None:
        """Wrap and compile an objective that is on ``device``. Called once, before the first step and before ``load``."""

    @abstractmethod
    def backward(self, batch: "Batch", micro_batches: int) -> None:
        """Add the gradients of one batch, exactly as if it had been one micro-batch."""

    @abstractmethod
    def clip(self, norm: float | None) -> float:
        """Clip the gradient to a norm, if one is given, and return the norm before clipping."""

    @abstractmethod
    def step(self) -> bool:
        """Take the optimizer's step and zero the gradients. False when a scaler skipped it."""

    @abstractmethod
    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return what the engine adds to a checkpoint (optimizer, scaler): whole tensors by name, and plain values."""

    @abstractmethod
    def load(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Take back what ``state`` returned."""

"""The contract of optimizers: what makes torch's optimizer of a run."""

from abc import ABC, abstractmethod
from typing import Any

import torch


class Optimizer(ABC):
    """Makes the optimizer of a run. Built as ``Class(config)``.

    What it makes is a ``torch.optim.Optimizer`` that

    - heeds each group's own ``lr`` and ``weight_decay``: the schedule changes ``lr`` before each step;
    - leaves a parameter whose ``grad`` is None as it is;
    - keeps what it remembers of a parameter in ``state[parameter]``, tensors only, made at its first step: of the
      parameter's shape, or single numbers such as the count of steps. So it is saved by the parameter's name, resumes
      exactly, and goes with its parameter where an engine divides tensors;
    - has all its options in its groups, as torch's have, so that ``type(made)(groups)`` makes one of the same kind.
    """

    @abstractmethod
    def over(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """Return the optimizer of groups of parameters, each with ``params``, ``lr`` and ``weight_decay``."""

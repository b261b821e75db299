"""The contract of schedules: the learning rate at each step."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from mmx.config import ScheduleConfig


@dataclass(frozen=True)
class Span:
    """What a schedule knows of the run."""

    lr: float
    """``optim.lr``, the rate that the warm-up rises to."""
    steps: int
    """Of the whole run."""
    epoch_steps: int
    """Of one epoch."""


class Schedule(ABC):
    """The learning rate at each step, a pure function of the step. Built as ``Class(config, span)``.

    The warm-up is the same for all: ``warmup_lr + (lr - warmup_lr) * (step + 1) / warmup`` at a step below ``warmup``.
    """

    def __init__(self, config: ScheduleConfig, span: Span) -> None:
        self.span = span
        self.warmup = config.warmup_steps(span.steps)
        self._from = config.warmup_lr

    def at(self, step: int) -> float:
        """Return the rate of a step, counted from 0."""
        if step < self.warmup:
            return self._from + (self.span.lr - self._from) * (step + 1) / self.warmup
        return self.after(step)

    @abstractmethod
    def after(self, step: int) -> float:
        """Return the rate of a step that is not in the warm-up, counted from 0 at the start of the run."""

    def done(self, step: int) -> float:
        """Return the share of the steps after the warm-up that were taken before this one, from 0 to below 1."""
        return (step - self.warmup) / max(1, self.span.steps - self.warmup)

"""A schedule that keeps its contract, and variations of it that do not."""

import math

from typing_extensions import override

from broken.table import Twin, broken
from mmx.config import ScheduleConfig
from mmx.parts.schedule import Schedule, Span


class StairsConfig(ScheduleConfig):
    factor: float = 0.5
    """What each epoch multiplies the rate by."""


class Stairs(Schedule):
    """The twin: a factor for each epoch."""

    def __init__(self, config: StairsConfig, span: Span) -> None:
        super().__init__(config, span)
        self.factor = config.factor

    @override
    def after(self, step: int) -> float:
        return self.span.lr * self.factor ** (step // self.span.epoch_steps)


class Below(Stairs):
    @override
    def after(self, step: int) -> float:
        return self.span.lr * (1 - step / 10)


class NoNumber(Stairs):
    @override
    def after(self, step: int) -> float:
        return math.nan if step == self.span.steps - 1 else self.span.lr


class Above(Stairs):
    @override
    def after(self, step: int) -> float:
        return 2 * super().after(step)


class Counts(Stairs):
    calls = 0

    @override
    def after(self, step: int) -> float:
        self.calls += 1
        return self.span.lr / self.calls


class FromLast(Stairs):
    last = math.inf

    @override
    def after(self, step: int) -> float:
        self.last = min(self.last, super().after(step))
        return self.last


class NoWarmUp(Stairs):
    @override
    def at(self, step: int) -> float:
        return self.after(step)


class FromZero(Stairs):
    @override
    def at(self, step: int) -> float:
        return self.span.lr * (step + 1) / self.warmup if step < self.warmup else self.after(step)


SCHEDULE = Twin("schedule", "Stairs", f"{__name__}:Stairs", StairsConfig)
SCHEDULES = tuple(
    broken(
        "schedule",
        StairsConfig,
        {"range": (Below, NoNumber, Above), "pure": (Counts, FromLast), "warm-up": (NoWarmUp, FromZero)},
    )
)

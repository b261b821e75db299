"""How the learning rate moves after the warm-up. ``d`` is the share of these steps that were taken, from 0 to below 1."""

import math
from typing import final

from typing_extensions import override

from mmx.parts.schedule import Schedule, Span
from mmx_optim.configs import ConstantConfig, CosineConfig, ExponentialConfig, LinearConfig, RestartsConfig


@final
class Cosine(Schedule):
    """``min_lr + (lr - min_lr) * (1 + cos(pi d)) / 2``."""

    def __init__(self, config: CosineConfig, span: Span) -> None:
        super().__init__(config, span)
        self._least = config.min_lr

    @override
    def after(self, step: int) -> float:
        return _cosine(self._least, self.span.lr, self.done(step))


@final
class Linear(Schedule):
    """``min_lr + (lr - min_lr) * (1 - d)``."""

    def __init__(self, config: LinearConfig, span: Span) -> None:
        super().__init__(config, span)
        self._least = config.min_lr

    @override
    def after(self, step: int) -> float:
        return self._least + (self.span.lr - self._least) * (1 - self.done(step))


@final
class Constant(Schedule):
    """``lr``."""

    def __init__(self, config: ConstantConfig, span: Span) -> None:
        super().__init__(config, span)

    @override
    def after(self, step: int) -> float:
        return self.span.lr


@final
class Exponential(Schedule):
    """``max(min_lr, lr * decay ** epoch)``, the epoch counted from 0 at the start of the run, the warm-up included."""

    def __init__(self, config: ExponentialConfig, span: Span) -> None:
        super().__init__(config, span)
        self._least, self._decay = config.min_lr, config.decay

    @override
    def after(self, step: int) -> float:
        return max(self._least, self.span.lr * self._decay ** (step // self.span.epoch_steps))


@final
class Restarts(Schedule):
    """``min_lr + (lr - min_lr) * (1 + cos(pi (cycles d mod 1))) / 2``."""

    def __init__(self, config: RestartsConfig, span: Span) -> None:
        super().__init__(config, span)
        self._least, self._cycles = config.min_lr, config.cycles

    @override
    def after(self, step: int) -> float:
        # In whole numbers, so that a restart is not a step late by rounding.
        length = max(1, self.span.steps - self.warmup)
        inside = self._cycles * (step - self.warmup) % length / length
        return _cosine(self._least, self.span.lr, inside)


def _cosine(least: float, most: float, done: float) -> float:
    return least + (most - least) * (0.5 * (1 + math.cos(math.pi * done)))

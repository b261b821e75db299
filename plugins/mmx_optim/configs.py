"""Options of optimizers and schedules. Never imports torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator
from typing_extensions import override

from mmx.config import OptimizerConfig, ScheduleConfig

Decay = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]


class AdamWConfig(OptimizerConfig):
    """AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101)."""

    elementwise: ClassVar[bool] = True

    weight_decay: NotNegative = 0.2
    """Decoupled weight decay; gains, biases and other parameters of fewer than 2 axes do not decay."""
    betas: tuple[Decay, Decay] = (0.9, 0.98)
    """Decay of the running means of the gradient and of its square."""
    eps: Positive = 1e-6
    """Added to the square root of the second mean."""

    @override
    def tiny(self) -> Self:
        """Return the options for comparisons: rounding in a gradient near zero does not decide the sign of a step."""
        return self.model_copy(update={"eps": 1e-3})


class SgdConfig(OptimizerConfig):
    """Stochastic gradient descent, with momentum (Sutskever et al. 2013)."""

    elementwise: ClassVar[bool] = True

    lr: Positive = 0.1
    """Highest learning rate."""
    momentum: Decay = 0.9
    """Share of the last step's direction that stays in the next; 0 for none."""
    nesterov: bool = False
    """Whether the gradient is added to the momentum once more, as Nesterov's method does."""

    @model_validator(mode="after")
    def _has_momentum(self) -> Self:
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov = true needs momentum above 0")
        return self

    @override
    def kept(self) -> int:
        return 1 if self.momentum else 0


class LambConfig(OptimizerConfig):
    """LAMB (You et al. 2020, arXiv:1904.00962)."""

    weight_decay: NotNegative = 0.01
    """Weight decay, inside of the direction whose length is set; gains, biases and the like do not decay."""
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    """Decay of the running means of the gradient and of its square."""
    eps: Positive = 1e-6
    """Added to the square root of the second mean."""

    @override
    def tiny(self) -> Self:
        """Return the options for comparisons: rounding in a gradient near zero does not decide the sign of a step."""
        return self.model_copy(update={"eps": 1e-3})


class LionConfig(OptimizerConfig):
    """Lion (Chen et al. 2023, arXiv:2302.06675)."""

    elementwise: ClassVar[bool] = True

    lr: Positive = 1e-4
    """Highest learning rate: a third to a tenth of AdamW's, since every element moves by all of it."""
    weight_decay: NotNegative = 1.0
    """Decoupled weight decay: three to ten times AdamW's; gains, biases and the like do not decay."""
    betas: tuple[Decay, Decay] = (0.9, 0.99)
    """Share of the running mean in the step's direction, and its decay."""

    @override
    def kept(self) -> int:
        return 1


class FallingConfig(ScheduleConfig):
    """Options of schedules that fall to a lowest rate."""

    min_lr: NotNegative = 0.0
    """The lowest rate."""

    @override
    def refusals(self, lr: float, steps: int | None) -> Iterator[tuple[str, str]]:
        yield from super().refusals(lr, steps)
        if self.min_lr > lr:
            yield "min_lr", f"should be at most optim.lr = {lr:g}, not {self.min_lr:g}"


class CosineConfig(FallingConfig):
    """Half a cosine (Loshchilov and Hutter 2017, arXiv:1608.03983)."""


class LinearConfig(FallingConfig):
    """A straight line."""


class ConstantConfig(ScheduleConfig):
    """The same rate to the end."""


class ExponentialConfig(FallingConfig):
    """A factor for each epoch."""

    decay: Annotated[float, Field(gt=0, le=1)] = 0.9
    """What the rate is multiplied by when a new epoch begins; counted from the start of the run."""


class RestartsConfig(FallingConfig):
    """Cosines with hard restarts (Loshchilov and Hutter 2017, arXiv:1608.03983)."""

    cycles: Annotated[int, Field(gt=0)] = 10
    """How many cosines, of equal lengths, the steps after the warm-up are divided into."""

"""A rate that falls by a factor every so many steps."""

from typing import final

from typing_extensions import override

from mmx.parts.schedule import Schedule, Span
from mmx_geometry.configs import StairsConfig


@final
class Stairs(Schedule):
    """``lr * factor ** ((step - warmup) // every)`` after the warm-up."""

    def __init__(self, config: StairsConfig, span: Span) -> None:
        super().__init__(config, span)
        self._config = config

    @override
    def after(self, step: int) -> float:
        return self.span.lr * self._config.factor ** ((step - self.warmup) // self._config.every)

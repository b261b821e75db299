"""A rate that falls with a power of the steps, whatever the length of the run."""

from typing import final

from typing_extensions import override

from mmx.parts.schedule import Schedule, Span
from mmx_scaffold.templates.schedule.config import ThisPartConfig


@final
class ThisPart(Schedule):
    """``lr * (max(1, warmup) / (step + 1)) ** power`` after the warm-up (Vaswani et al. 2017, section 5.3)."""

    def __init__(self, config: ThisPartConfig, span: Span) -> None:
        super().__init__(config, span)
        self._power = config.power

    @override
    def after(self, step: int) -> float:
        return self.span.lr * (max(1, self.warmup) / (step + 1)) ** self._power

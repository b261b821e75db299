"""The run that the kit's schedules are of."""

from typing import Final

from mmx.parts.schedule import Span

SPAN: Final = Span(lr=0.5, steps=24, epoch_steps=5)

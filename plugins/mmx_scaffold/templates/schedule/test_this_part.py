"""The schedule against rates worked out by hand."""

import pytest

from mmx.parts.schedule import Span
from mmx_scaffold.templates.schedule.config import ThisPartConfig
from mmx_scaffold.templates.schedule.schedule import ThisPart


def test_rates() -> None:
    config = ThisPartConfig(name="part", warmup=4)
    schedule = ThisPart(config, Span(lr=2.0, steps=100, epoch_steps=10))
    assert [schedule.at(step) for step in (0, 3, 15, 99)] == pytest.approx([0.5, 2.0, 1.0, 0.4])

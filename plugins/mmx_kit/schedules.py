"""Schedules: rates that can be trained with, a pure function of the step, and the warm-up that all have."""

import math
from collections.abc import Iterator
from typing import Any, Final, cast

from mmx.parts.schedule import Schedule, Span
from mmx_kit.case import Case
from mmx_kit.check import BrokenError, Check
from mmx_kit.span import SPAN

_KIND: Final = ("schedule",)
_SPANS: Final = (SPAN, Span(0.5, 1, 1), Span(0.5, 7, 100), Span(1e-5, 1000, 1))
_WARMUP: Final = 4


def _rates(case: Case) -> None:
    for span, schedule in _made(case):
        for step in range(span.steps):
            rate = cast(object, schedule.at(step))
            if not isinstance(rate, float | int) or not math.isfinite(rate) or not 0 <= rate <= span.lr * (1 + 1e-9):
                raise BrokenError(
                    f"at step {step} of {span.steps} the rate is {rate!r}: expected a number from 0 to lr = {span.lr:g}"
                )


def _made(case: Case) -> Iterator[tuple[Span, Schedule]]:
    for span in _SPANS:
        options: dict[str, Any] = {"warmup": 0, "warmup_lr": 0.0}
        if "min_lr" in type(case.config).model_fields:
            options["min_lr"] = 0.0
        yield span, case.build(span, **options)


def _pure(case: Case) -> None:
    one, other = (case.build(SPAN) for _ in range(2))
    first = [one.at(step) for step in range(SPAN.steps)]
    again = [other.at(step) for step in reversed(range(SPAN.steps))][::-1]
    twice = [one.at(step) for step in range(SPAN.steps)]
    for what, found in (("asked in another order, by a new instance", again), ("asked again", twice)):
        for step, (before, after) in enumerate(zip(first, found, strict=True)):
            if before != after:
                raise BrokenError(
                    f"the rate of step {step} is {before!r}; {what} it is {after!r}: a resumed run would differ"
                )


def _warms_up(case: Case) -> None:
    options: dict[str, Any] = {"warmup": _WARMUP, "warmup_lr": 0.1}
    schedule = case.build(SPAN, **options)
    for step in range(_WARMUP):
        expected = 0.1 + (SPAN.lr - 0.1) * (step + 1) / _WARMUP
        if not math.isclose(schedule.at(step), expected, rel_tol=1e-6):
            raise BrokenError(
                f"with warmup = {_WARMUP} and warmup_lr = 0.1 the rate of step {step} is {schedule.at(step):g}: expected "
                f"{expected:g} of lr = {SPAN.lr:g}, as `at` of mmx.parts.schedule.Schedule gives it"
            )


SCHEDULE_CHECKS: Final = (
    Check("range", "every rate is a number from 0 to lr, in short runs and long ones", _KIND, _rates),
    Check("pure", "the rate depends on the step alone", _KIND, _pure),
    Check("warm-up", "the rate rises in the warm-up as that of all schedules", _KIND, _warms_up),
)

"""Each schedule against its formula."""

import math
from collections.abc import Callable

import pytest

from mmx.config import ScheduleConfig
from mmx.parts.schedule import Schedule, Span
from mmx_optim.configs import ConstantConfig, CosineConfig, ExponentialConfig, LinearConfig, RestartsConfig
from mmx_optim.schedules import Constant, Cosine, Exponential, Linear, Restarts

LR, LEAST, STEPS, EPOCH = 2.0, 0.5, 110, 20
SPAN = Span(LR, STEPS, EPOCH)


def fall(share: float) -> float:
    return LEAST + (LR - LEAST) * share


def test_cosine() -> None:
    schedule = Cosine(CosineConfig(name="cosine", min_lr=LEAST, warmup=10), SPAN)
    for step in range(10, STEPS):
        assert schedule.at(step) == pytest.approx(fall(0.5 * (1 + math.cos(math.pi * (step - 10) / 100))))
    assert (schedule.at(10), schedule.at(60)) == (LR, pytest.approx((LR + LEAST) / 2))


def test_linear_and_constant() -> None:
    linear = Linear(LinearConfig(name="linear", min_lr=LEAST), SPAN)
    assert [linear.at(step) for step in range(STEPS)] == pytest.approx(
        [fall(1 - step / STEPS) for step in range(STEPS)]
    )
    constant = Constant(ConstantConfig(name="constant", warmup=2), SPAN)
    assert [constant.at(step) for step in range(4)] == pytest.approx([1.0, 2.0, 2.0, 2.0])


def test_exponential_falls_when_an_epoch_begins() -> None:
    schedule = Exponential(ExponentialConfig(name="exponential", decay=0.5, min_lr=0.3, warmup=5), SPAN)
    assert [schedule.at(step) for step in (5, 19, 20, 39, 40, 59, 60, 109)] == [2.0, 2.0, 1.0, 1.0, 0.5, 0.5, 0.3, 0.3]


@pytest.mark.parametrize("cycles", [1, 3, 7, 10])
def test_restarts_begin_at_the_highest_rate_again(cycles: int) -> None:
    schedule = Restarts(
        RestartsConfig(name="restarts", cycles=cycles, min_lr=LEAST, warmup=5), Span(LR, 5 + 60 * cycles, 7)
    )
    for step in range(5, 5 + 60 * cycles):
        inside = (step - 5) % 60 / 60
        assert schedule.at(step) == pytest.approx(fall(0.5 * (1 + math.cos(math.pi * inside)))), step


WARM: list[tuple[Callable[[ScheduleConfig], Schedule], type[ScheduleConfig]]] = [
    (lambda config: Cosine(config, SPAN), CosineConfig),  # pyright: ignore[reportArgumentType]
    (lambda config: Exponential(config, SPAN), ExponentialConfig),  # pyright: ignore[reportArgumentType]
    (lambda config: Restarts(config, SPAN), RestartsConfig),  # pyright: ignore[reportArgumentType]
]


@pytest.mark.parametrize(("make", "config"), WARM)
def test_the_warm_up_rises_to_the_highest_rate(
    make: Callable[[ScheduleConfig], Schedule], config: type[ScheduleConfig]
) -> None:
    for warmup in (10, 10 / STEPS):
        schedule = make(config.model_validate({"name": "x", "warmup": warmup, "warmup_lr": 1.0}))
        assert [schedule.at(step) for step in (0, 4, 9)] == pytest.approx([1.1, 1.5, 2.0])


def test_a_lowest_rate_above_the_highest_is_refused() -> None:
    config = CosineConfig(name="cosine", min_lr=3.0)
    assert list(config.refusals(LR, None)) == [("min_lr", "should be at most optim.lr = 2, not 3")]

"""What is equal, and what is not."""

import math
from typing import Any

import numpy as np
import pytest

from mmx_verify.compare import BOUNDS, Gap, compare
from mmx_verify.measure import Arrays
from outcomes import arrays, changed, later, outcome

FP32 = BOUNDS["fp32"]


def test_the_same_is_equal_and_nothing_is_named() -> None:
    found = compare(outcome(), outcome(), FP32)
    assert found.equal and found.beyond == ()
    assert found.loss == found.gradients == found.weights == Gap()


@pytest.mark.parametrize(("factor", "gap"), [(2.0, 1.0), (0.5, 0.5), (0.0, 1.0), (-1.0, 2.0)])
def test_a_gradient_that_is_scaled_differs_by_how_much(factor: float, gap: float) -> None:
    found = compare(
        outcome(gradients=later(lambda step: changed(step, "tower.bias", factor))), outcome(), BOUNDS["bf16"]
    )
    assert not found.equal and found.beyond == ("gradients",)
    assert found.gradients.value == pytest.approx(gap, rel=1e-5)
    assert (found.gradients.name, found.gradients.step) == ("tower.bias", 2)


def test_rounding_is_equal_also_in_a_gradient_that_is_truly_zero() -> None:
    noise = np.random.default_rng(9)

    def rounded(step: Arrays) -> Arrays:
        return {name: value + np.float32(1e-8) * noise.standard_normal(value.shape) for name, value in step.items()}

    found = compare(outcome(gradients=tuple(map(rounded, outcome().gradients))), outcome(), FP32)
    assert found.equal and found.gradients.name == "key.bias" and 1e-7 < found.gradients.value < 1e-4


def without(step: Arrays) -> Arrays:
    return {name: value for name, value in step.items() if name != "scale"}


def poisoned(step: Arrays) -> Arrays:
    return changed(step, "scale", math.nan)


MUTANTS: list[tuple[Any, str]] = [
    (without, "is missing"),
    (lambda step: {**step, "head": np.zeros(2, np.float32)}, "one process has none"),
    (poisoned, "is not finite"),
    (lambda step: changed(step, "scale", math.inf), "is not finite"),
    (lambda step: {**step, "scale": step["scale"].T}, r"has the shape (4, 3), not (3, 4)"),
]


@pytest.mark.parametrize(("change", "why"), MUTANTS)
def test_what_cannot_be_compared_is_infinitely_far_off(change: Any, why: str) -> None:
    found = compare(outcome(gradients=later(change)), outcome(), BOUNDS["bf16"])
    assert not found.equal and math.isinf(found.gradients.value)
    assert found.gradients.step == 2 and found.gradients.name in ("scale", "head") and found.gradients.why == why
    weights = compare(outcome(weights=change(arrays(4))), outcome(), BOUNDS["bf16"])
    assert weights.beyond == ("weights",) and weights.weights.step == 3 and weights.weights.why == why


def test_one_process_that_comes_to_no_number_equals_nothing() -> None:
    broken = outcome(gradients=later(poisoned), losses=(3.0, math.nan, 2.0))
    assert compare(broken, broken, BOUNDS["bf16"]).beyond == ("loss", "gradients")


def test_steps_that_were_not_taken_differ() -> None:
    found = compare(outcome(losses=(3.0, 2.5), gradients=outcome().gradients[:2]), outcome(), FP32)
    assert found.beyond == ("loss", "gradients") and found.loss.why == found.gradients.why == "2 steps, not 3"


@pytest.mark.parametrize(("loss", "equal"), [(2.5 * (1 + 5e-5), True), (2.5 * (1 + 2e-4), False), (math.nan, False)])
def test_losses_are_compared_by_step(loss: float, equal: bool) -> None:
    found = compare(outcome(losses=(3.0, loss, 2.0)), outcome(), FP32)
    assert found.equal is equal and found.loss.step == 2


def test_a_loss_of_zero_is_compared_with_the_largest() -> None:
    expected = outcome(losses=(3.0, 0.0, 2.0))
    assert compare(outcome(losses=(3.0, 1e-8, 2.0)), expected, FP32).equal
    assert not compare(outcome(losses=(3.0, 1e-3, 2.0)), expected, FP32).equal


def test_no_gradient_at_all_is_equal_only_to_none() -> None:
    zero = [{"a": np.zeros(2, np.float32)}] * 3
    assert compare(outcome(gradients=zero), outcome(gradients=zero), FP32).equal
    some = [{"a": np.full(2, 1e-9, np.float32)}] * 3
    assert math.isinf(compare(outcome(gradients=some), outcome(gradients=zero), FP32).gradients.value)

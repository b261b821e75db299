"""Six systems train alike on every layout: losses, gradients, and after three steps weights, queues and teachers."""

from functools import cache

import numpy as np
import pytest

from layouts import Arrays, Outcome, train
from pair import Pair
from toys.systems import SYSTEMS

UNREACHED = {"flava": [], "blip2": []}
"""What no loss reaches: the stand-in for hidden patches, where no view hides any (and it is not frozen anyway)."""


@cache
def reference(system: str) -> Outcome:
    return train(system, micro_batches=1)


def assert_same(found: Arrays, expected: Arrays) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-12, atol=1e-12, err_msg=name)


def assert_alike(found: Outcome, expected: Outcome) -> None:
    assert found.unreached == expected.unreached
    for mine, theirs in zip(found.parts, expected.parts, strict=True):
        assert mine == pytest.approx(theirs, rel=1e-12, abs=1e-12)
    for mine, theirs in zip(found.gradients, expected.gradients, strict=True):
        assert_same(mine, theirs)
    assert_same(found.state, expected.state)


@pytest.mark.parametrize("system", SYSTEMS)
def test_four_micro_batches_equal_one(system: str) -> None:
    assert_alike(train(system, micro_batches=4), reference(system))


@pytest.mark.parametrize("micro_batches", [1, 4])
@pytest.mark.parametrize("system", SYSTEMS)
def test_two_processes_equal_one(system: str, micro_batches: int, pair: Pair) -> None:
    for outcome in pair(train, system, micro_batches):
        assert_alike(outcome, reference(system))


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_trained_parameter_learns(system: str) -> None:
    outcome = reference(system)
    assert outcome.unreached == UNREACHED.get(system, ["model.image_encoder.unseen"])
    assert all(np.abs(gradient).max() > 1e-4 for gradient in outcome.gradients[0].values())
    assert all(np.abs(gradient).max() < 10 for gradient in outcome.gradients[0].values())
    changed = [name for name, gradient in outcome.gradients[0].items() if (gradient != outcome.gradients[2][name]).any()]
    assert changed == list(outcome.gradients[0])

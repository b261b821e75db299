"""The systems train alike on every layout: losses, gradients, and after three steps weights, queues and teachers."""

from functools import cache

import numpy as np
import pytest

from mmx_kit.ranks import Ranks
from toys.layouts import Outcome, assert_alike, train
from toys.systems import SYSTEMS

UNREACHED: dict[str, list[str]] = {"flava": [], "blip2": []}
"""What no loss reaches: the stand-in for hidden patches, where no view hides any (and it is not frozen anyway)."""


@cache
def reference(system: str) -> Outcome:
    return train(SYSTEMS[system], micro_batches=1)


@pytest.mark.parametrize("system", SYSTEMS)
def test_four_micro_batches_equal_one(system: str) -> None:
    assert_alike(train(SYSTEMS[system], micro_batches=4), reference(system))


@pytest.mark.parametrize("micro_batches", [1, 4])
@pytest.mark.parametrize("system", SYSTEMS)
def test_two_processes_equal_one(system: str, micro_batches: int, pair: Ranks) -> None:
    for outcome in pair(train, SYSTEMS[system], micro_batches):
        assert_alike(outcome, reference(system))


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_trained_parameter_learns(system: str) -> None:
    outcome = reference(system)
    assert outcome.unreached == UNREACHED.get(system, ["model.image_encoder.unseen"])
    assert all(np.abs(gradient).max() > 1e-4 for gradient in outcome.gradients[0].values())
    assert all(np.abs(gradient).max() < 10 for gradient in outcome.gradients[0].values())
    first, third = outcome.gradients[0], outcome.gradients[2]
    assert all((first[name] != third[name]).any() for name in first)

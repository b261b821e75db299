"""The same steps on any layout: one process or the two of a pair, in any number of micro-batches."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from mmx.learn.accumulate import Worker, accumulate, unreached
from mmx.learn.objective import Objective
from mmx.parts.batch import Batch
from mmx.parts.group import Group
from mmx_kit.layouts import Arrays, gradients, here, worker_for, world
from toys.systems import Build, batch_for


@dataclass(frozen=True)
class Outcome:
    """What one rank saw of some steps."""

    unreached: list[str]
    parts: list[dict[str, float]]
    """Of every step, the mean over ranks."""
    gradients: list[Arrays]
    """Of every step."""
    state: Arrays
    """Weights, queues and teachers after the last step."""


def run(
    objective: Objective, worker: Worker, batches: list[Batch], micro_batches: int, momentum: bool = False
) -> Outcome:
    """Take SGD steps on the batches of this rank, plain ones or with momentum and decay."""
    trained = (p for p in objective.parameters() if p.requires_grad)
    optimizer = torch.optim.SGD(trained, 0.1, 0.9 if momentum else 0.0, weight_decay=0.1 if momentum else 0.0)
    parts: list[dict[str, float]] = []
    found: list[Arrays] = []
    for batch in batches:
        accumulate(worker, objective, batch, micro_batches)
        parts.append({name: _mean(objective.group, part) for name, part in objective.parts.items()})
        found.append(gradients(objective))
        optimizer.step()
        optimizer.zero_grad()
        objective.after_step(batch)
    state = {name: value.numpy().copy() for name, value in objective.state_dict().items()}
    return Outcome([], parts, found, state)


def _mean(group: Group, part: Tensor) -> float:
    return float(group.sum(part) / group.size)


def train(build: Build, micro_batches: int, steps: int = 3) -> Outcome:
    """Train a system for some steps: on all ranks where there are several, or in this process."""
    objective = start(build, world())
    batches = [here(batch_for(objective, step), objective.group) for step in range(steps)]
    names = unreached(objective, batches[0])
    return replace(run(objective, worker_for(objective), batches, micro_batches), unreached=names)


def start(build: Build, group: Group) -> Objective:
    """Build a system, always with the same weights."""
    torch.manual_seed(0)
    return build(group)


def assert_same(found: Arrays, expected: Arrays) -> None:
    """Check equality to fp64 rounding."""
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-12, atol=1e-12, err_msg=name)


def assert_alike(found: Outcome, expected: Outcome) -> None:
    """Check that two layouts trained alike."""
    assert found.unreached == expected.unreached
    for mine, theirs in zip(found.parts, expected.parts, strict=True):
        assert mine.keys() == theirs.keys()
        np.testing.assert_allclose([mine[name] for name in theirs], list(theirs.values()), rtol=1e-12, atol=1e-12)
    for mine, theirs in zip(found.gradients, expected.gradients, strict=True):
        assert_same(mine, theirs)
    assert_same(found.state, expected.state)


def difference(found: Arrays, expected: Arrays) -> float:
    """Return how far apart two sets of gradients are, relative to the expected ones' length."""
    apart = sum(float(np.square(found[name] - value).sum()) for name, value in expected.items())
    return (apart / sum(float(np.square(value).sum()) for value in expected.values())) ** 0.5

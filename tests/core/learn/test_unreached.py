"""Parameters that no loss reaches, and batches that lack the views of some losses."""

import numpy as np
import pytest
import torch

from mmx.learn.accumulate import unreached
from mmx.learn.objective import MicroBatchTerm
from mmx.parts.group import SoloGroup
from mmx_kit.ranks import Ranks
from toys.layouts import assert_alike, start, train
from toys.mistakes import by_turns, late, with_dropout
from toys.systems import batch_for, clip, declip
from toys.tasks import train_by_turns


def test_it_names_what_no_loss_reaches_and_changes_nothing() -> None:
    objective = start(declip, SoloGroup())
    before = {name: value.clone() for name, value in objective.state_dict().items()}
    assert unreached(objective, batch_for(objective)) == ["model.image_encoder.unseen"]
    assert all(torch.equal(value, before[name]) for name, value in objective.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in objective.parameters())


def test_it_leaves_the_generator_where_it_was() -> None:
    objective = start(with_dropout, SoloGroup())
    state = torch.get_rng_state()
    unreached(objective, batch_for(objective))
    assert torch.equal(torch.get_rng_state(), state)


def test_it_leaves_frozen_parameters_out() -> None:
    objective = start(clip, SoloGroup())
    objective.model.freeze([objective.model.image_encoder])
    assert unreached(objective, batch_for(objective)) == []
    objective.requires_grad_(False)
    assert unreached(objective, batch_for(objective)) == []


@pytest.mark.parametrize("micro_batches", [1, 4])
def test_a_loss_that_begins_later_trains_what_only_it_reaches_on_any_layout(micro_batches: int, pair: Ranks) -> None:
    alone = train(late, 1)
    own = [f"losses.late.map.{name}" for name in ("weight", "bias")]
    never = [f"losses.late.never.{name}" for name in ("weight", "bias")]
    assert alone.unreached == ["model.image_encoder.unseen", *own, *never]  # in the first step
    assert [set(own) <= set(found) for found in alone.gradients] == [False, True, True]
    assert not any(name in found for name in never for found in alone.gradients)
    before = start(late, SoloGroup()).state_dict()
    assert all(np.array_equal(alone.state[name], before[name].numpy()) for name in never)
    for outcome in [*pair(train, late, micro_batches), train(late, micro_batches)]:
        assert_alike(outcome, alone)


@pytest.mark.parametrize("micro_batches", [1, 4])
def test_batches_that_lack_some_losses_views_train_alike_on_two_ranks(micro_batches: int, pair: Ranks) -> None:
    alone = train_by_turns(by_turns, 1)
    assert [sorted(parts) for parts in alone.parts] == [["contrastive"], ["mim"], ["mlm"], ["contrastive"]]
    for outcome in [*pair(train_by_turns, by_turns, micro_batches), train_by_turns(by_turns, micro_batches)]:
        assert_alike(outcome, alone)


def test_what_no_loss_of_a_step_reaches_neither_decays_nor_goes_on_with_its_momentum() -> None:
    objective = start(by_turns, SoloGroup())
    before = {name: value.numpy().copy() for name, value in objective.state_dict().items()}
    outcome = train_by_turns(by_turns, 1)
    reached = [
        ("model.fusion.project.image.weight", [True, False, False, True]),
        ("losses.mim.head.weight", [False, True, False, False]),
        ("losses.mlm.head.weight", [False, False, True, False]),
    ]
    for name, steps in reached:
        assert [name in found for found in outcome.gradients] == steps
        value, speed = before[name], 0.0
        for found in outcome.gradients:  # SGD by hand: gradient and decay into the momentum, in its own steps alone
            if name in found:
                speed = 0.9 * speed + found[name] + 0.1 * value
                value = value - 0.1 * speed
        np.testing.assert_allclose(outcome.state[name], value, rtol=1e-12, atol=1e-15)


def test_a_micro_batch_that_reaches_nothing_has_a_backward() -> None:
    objective = start(clip, SoloGroup())
    objective.model.freeze([objective.model.image_encoder, objective.model.text_encoder, objective.model.fusion])
    objective(batch_for(objective), MicroBatchTerm({})).backward()
    assert all(p.grad is None for p in objective.parameters())

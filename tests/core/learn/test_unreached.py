"""Parameters that no loss reaches, and batches that lack the views of some losses."""

import pytest
import torch

from mmx.learn.accumulate import unreached
from mmx.parts.group import SoloGroup
from mmx_kit.ranks import Ranks
from toys.layouts import Outcome, assert_alike, start, train
from toys.mistakes import by_turns, with_dropout
from toys.systems import batch_for, clip, declip
from toys.tasks import step_unfrozen, train_by_turns

ERROR = "Expected to have finished reduction in the prior iteration"


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


def test_data_parallel_fails_where_they_are_trained_and_works_where_they_are_frozen(pair: Ranks) -> None:
    for message in pair(step_unfrozen, clip):
        assert ERROR in message
    for outcome in pair(train, clip, 1):  # it freezes them
        assert_alike(outcome, train(clip, 1))


@pytest.mark.parametrize("micro_batches", [1, 4])
def test_batches_that_lack_some_losses_views_train_alike_on_two_ranks(micro_batches: int, pair: Ranks) -> None:
    alone = train_by_turns(by_turns, 1)
    assert isinstance(alone, Outcome)
    assert [sorted(parts) for parts in alone.parts] == [["contrastive"], ["mim"], ["mlm"], ["contrastive"]]
    for outcome in [*pair(train_by_turns, by_turns, micro_batches), train_by_turns(by_turns, micro_batches)]:
        assert isinstance(outcome, Outcome)
        assert_alike(outcome, alone)


def test_a_loss_without_its_views_leaves_zero_gradients_which_data_parallel_needs(pair: Ranks) -> None:
    alone = train_by_turns(by_turns, 1)
    assert isinstance(alone, Outcome)
    head = "losses.mlm.head.weight"
    assert [bool(found[head].any()) for found in alone.gradients] == [False, False, True, False]
    for message in pair(train_by_turns, by_turns, 1, anchored=False):
        assert isinstance(message, str) and ERROR in message

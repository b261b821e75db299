from typing import final

import numpy as np
import pytest
import torch

from mmx.learn.accumulate import accumulate, inexact
from mmx.learn.objective import Features, MicroBatchTerm, Objective
from mmx.learn.rng import RandomState
from mmx.parts.batch import Batch
from mmx.parts.group import Group, SoloGroup
from mmx_kit.layouts import Alone, freeze_unreached, gradients
from mmx_kit.ranks import Ranks
from toys.layouts import assert_same, difference, start, train
from toys.mistakes import (
    clip_and_words,
    only_words,
    plain_clip,
    simsiam,
    simsiam_by_rank,
    with_batch_norm,
    with_dropout,
)
from toys.systems import batch_for, blip2, declip
from toys.tasks import one_gradient, summed

CPU = torch.device("cpu")


@final
class Recording:
    """A worker that notes what it is asked."""

    def __init__(self, objective: Objective) -> None:
        self.alone = Alone(objective)
        self.asked: list[tuple[int, int, bool]] = []

    def features(self, batch: Batch) -> Features:
        assert not torch.is_grad_enabled()
        return self.alone.features(batch)

    def differentiate(self, batch: Batch, share: MicroBatchTerm, last: bool) -> None:
        self.asked.append((len(batch.texts["clean"]), len(share.own), last))
        self.alone.differentiate(batch, share, last)


def test_gradients_are_exchanged_in_the_last_micro_batch_which_carries_what_compare_losses_use_themselves() -> None:
    objective = start(plain_clip, SoloGroup())
    worker = Recording(objective)
    accumulate(worker, objective, batch_for(objective), 4)
    assert worker.asked == [(8, 0, False), (8, 0, False), (8, 0, False), (8, 1, True)]  # 1: the temperature


def test_more_micro_batches_than_rows_are_refused() -> None:
    objective = start(plain_clip, SoloGroup())
    with pytest.raises(ValueError, match="32 rows cannot be split into 33 micro-batches"):
        accumulate(Alone(objective), objective, batch_for(objective), 33)


def test_micro_batches_of_unlike_sizes_are_exact() -> None:
    assert_same(one_gradient(clip_and_words, 5), one_gradient(clip_and_words, 1))


def by_hand_with_the_same_masks(objective: Objective, batch: Batch, count: int) -> None:
    """Differentiate all micro-batches in one graph, each drawing the masks that accumulation draws for it."""
    counts = objective.count(batch)
    pieces: list[Features] = []
    means = torch.zeros(())
    for part in batch.chunk(count):
        outputs = objective._outputs(part, grad=True)
        pieces.append({pull: outputs.pull(pull) for pull in objective._features_of(part)})
        after_features = RandomState.capture(CPU)
        means = means + torch.stack(objective._means(outputs, MicroBatchTerm(counts))).sum()
        after_features.restore(CPU)
    joined = {pull: torch.cat([piece[pull] for piece in pieces]) for pull in pieces[0]}
    (objective._compared(joined, batch) + means).backward()


def test_dropout_is_replayed_in_the_second_forward() -> None:
    found = one_gradient(with_dropout, 4)
    objective = start(with_dropout, SoloGroup())
    by_hand_with_the_same_masks(objective, batch_for(objective), 4)
    assert_same(found, gradients(objective))


def test_without_the_replay_the_gradient_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    right = one_gradient(with_dropout, 4)
    monkeypatch.setattr(RandomState, "restore", lambda self, device: None)
    assert difference(one_gradient(with_dropout, 4), right) > 0.1


def test_the_next_step_draws_other_masks() -> None:
    objective = start(with_dropout, SoloGroup())
    found: list[dict[str, np.ndarray]] = []
    for _ in range(2):
        accumulate(Alone(objective), objective, batch_for(objective), 4)
        found.append(gradients(objective))
        objective.zero_grad()
    assert difference(found[1], found[0]) > 0.1


def test_the_mean_of_micro_batch_means_is_another_gradient() -> None:
    objective = start(only_words, SoloGroup())
    naive = summed(objective, batch_for(objective).chunk(4))
    assert difference(naive, one_gradient(only_words, 1)) > 0.05


def test_contrast_within_each_micro_batch_is_another_gradient() -> None:
    objective = start(plain_clip, SoloGroup())
    naive = summed(objective, batch_for(objective).chunk(4))
    assert difference(naive, one_gradient(plain_clip, 1)) > 0.05


def test_batch_norm_in_a_tower_is_reported_and_really_inexact() -> None:
    objective = start(with_batch_norm, SoloGroup())
    assert inexact(objective, 1) is None
    message = inexact(objective, 4)
    assert message is not None and message.startswith("model.image_encoder.norm is a BatchNorm")
    assert difference(one_gradient(with_batch_norm, 4), one_gradient(with_batch_norm, 1)) > 0.01


def test_batch_norm_in_a_tower_is_reported_on_two_ranks() -> None:
    class TwoRanks(Group):
        rank, size = 0, 2

        def gather(self, rows: torch.Tensor) -> torch.Tensor:
            return rows

        def exchange(self, parts: torch.Tensor) -> torch.Tensor:
            return parts

        def sum(self, value: torch.Tensor) -> torch.Tensor:
            return value

    assert inexact(start(with_batch_norm, TwoRanks()), 1) is not None
    assert inexact(start(simsiam, TwoRanks()), 1) is None


def test_batch_norm_is_exact_when_frozen_or_in_a_compare_loss() -> None:
    assert inexact(start(blip2, SoloGroup()), 4) is None  # test_exact.py shows that both are
    assert inexact(start(declip, SoloGroup()), 4) is None
    objective = start(with_batch_norm, SoloGroup())
    objective.model.freeze([objective.model.image_encoder])
    objective.train()
    assert inexact(objective, 4) is None


def test_batch_norm_without_running_statistics_is_inexact_even_when_frozen() -> None:
    objective = start(with_batch_norm, SoloGroup())
    objective.model.image_encoder.norm = torch.nn.BatchNorm1d(4, track_running_stats=False).double()
    objective.model.freeze([objective.model.image_encoder])
    assert inexact(objective, 4) is not None


def test_batch_norm_over_one_ranks_rows_is_another_gradient_on_two_ranks(pair: Ranks) -> None:
    alone = train(simsiam, 1, steps=1).gradients[0]
    assert_same(train(simsiam_by_rank, 1, steps=1).gradients[0], alone)
    assert_same(pair(train, simsiam, 1, steps=1)[0].gradients[0], alone)
    assert difference(pair(train, simsiam_by_rank, 1, steps=1)[0].gradients[0], alone) > 0.05


def test_freezing_what_no_loss_reaches_changes_no_other_gradient() -> None:
    objective = start(clip_and_words, SoloGroup())
    batch = batch_for(objective)
    freeze_unreached(objective, batch)
    accumulate(Alone(objective), objective, batch, 4)
    assert_same(gradients(objective), one_gradient(clip_and_words, 4))

import math

import numpy as np
import pytest
import torch

from mmx.parts.group import SoloGroup
from mmx_kit.ranks import RANKS, Ranks
from toys.layouts import assert_alike, assert_same, difference, train
from toys.mistakes import plain_clip
from toys.systems import SYSTEMS, Build, blip, cloob
from toys.tasks import collectives, duplicated


def test_gather_keeps_rank_order_exchange_transposes_and_both_send_gradients_back(pair: Ranks) -> None:
    for rank, found in enumerate(pair(collectives)):
        rows = np.arange(6.0).reshape(3, 2)
        np.testing.assert_array_equal(found["whole"], np.concatenate([rows, rows + 10]))
        both = np.arange(12.0).reshape(6, 2) * (1 + 2)
        np.testing.assert_array_equal(found["gradient"], both[3 * rank : 3 * rank + 3])
        assert found["total"] == rows.sum() + (rows + 10).sum()
        assert found["exchanged"].tolist() == [[1 + rank], [11 + rank]]
        assert found["returned"].tolist() == [[(3, 5)[rank]], [(3, 5)[rank] * 2]]
        assert found["integers"].tolist() == [0, 7, 1, 7]
        assert found["flags"].tolist() == [True, False]


def test_one_process_gathers_its_own_rows() -> None:
    rows = torch.ones(3, 2, requires_grad=True)
    assert SoloGroup().gather(rows) is rows
    assert not SoloGroup().sum(rows).requires_grad


@pytest.mark.parametrize("system", SYSTEMS)
def test_ranks_with_the_same_rows_change_nothing_when_only_data_parallel_ranks_are_gathered(
    system: str, pair: Ranks
) -> None:
    for outcome in pair(duplicated, SYSTEMS[system], over_world=False):
        assert_same(outcome.gradients[0], train(SYSTEMS[system], 1, steps=1).gradients[0])


def test_gathering_over_the_world_leaves_the_gradient_of_clip_and_shifts_its_loss_by_ln_2(pair: Ranks) -> None:
    right = train(plain_clip, 1, steps=1)
    for wrong in pair(duplicated, plain_clip, over_world=True):
        assert_same(wrong.gradients[0], right.gradients[0])
        shift = wrong.parts[0]["contrastive"] - right.parts[0]["contrastive"]
        assert shift == pytest.approx(math.log(RANKS), abs=1e-12)


@pytest.mark.parametrize("build", [cloob, blip], ids=["cloob", "blip"])
def test_gathering_over_the_world_breaks_the_gradients_of_cloob_and_blip(build: Build, pair: Ranks) -> None:
    right = train(build, 1, steps=1)
    for wrong in pair(duplicated, build, over_world=True):
        assert difference(wrong.gradients[0], right.gradients[0]) > 0.01


def test_the_plain_clip_of_these_tests_is_exact_too(pair: Ranks) -> None:
    for outcome in pair(train, plain_clip, 4):
        assert_alike(outcome, train(plain_clip, 1))

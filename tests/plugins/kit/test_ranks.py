import pickle
import sys

import pytest
import torch.distributed as dist

from mmx_kit.check import BrokenError
from mmx_kit.ranks import Ranks


def test_both_ranks_answer_in_order_and_a_failure_is_told_with_its_rank(pair: Ranks) -> None:
    assert pair(dist.get_rank) == [0, 1]
    with pytest.raises(BrokenError, match=r"rank [01] of 2 failed in getrecursionlimit(.|\n)*TypeError"):
        pair(sys.getrecursionlimit, 1)  # pyright: ignore[reportCallIssue]
    assert pair(dist.get_world_size) == [2, 2]


def test_a_task_that_cannot_be_sent_leaves_both_ranks_ready_for_the_next(pair: Ranks) -> None:
    with pytest.raises((AttributeError, pickle.PicklingError)):
        pair(lambda: 1)
    assert pair(dist.get_rank) == [0, 1]

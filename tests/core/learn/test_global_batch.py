from typing import final

import torch
from torch import Tensor

from mmx.learn.global_batch import Feature, GlobalBatch
from mmx.parts.group import Group

ROWS = Feature("image.embed", "clean")


@final
class SecondOfThree(Group):
    """Pretends that the other ranks hold zeros, and counts what is gathered."""

    rank, size = 1, 3
    gathered = 0

    def gather(self, rows: Tensor) -> Tensor:
        self.gathered += 1
        return torch.cat([torch.zeros_like(rows), rows, torch.zeros_like(rows)])

    def exchange(self, parts: Tensor) -> Tensor:
        return parts[1].expand(3, -1)

    def sum(self, value: Tensor) -> Tensor:
        return value


def test_each_feature_is_gathered_once() -> None:
    group = SecondOfThree()
    whole = GlobalBatch({ROWS: torch.ones(2, 4)}, group, step=7)
    assert whole.all(ROWS) is whole.all(ROWS)
    assert group.gathered == 1
    whole.gather(torch.ones(2, 4))
    assert group.gathered == 2


def test_here_and_offset_find_this_ranks_rows_among_all() -> None:
    whole = GlobalBatch({ROWS: torch.ones(2, 4)}, SecondOfThree(), step=7)
    assert whole.here(torch.arange(6)).tolist() == [2, 3]
    assert whole.offset(ROWS) == 2
    assert torch.equal(whole.here(whole.all(ROWS)), whole[ROWS])
    assert whole.world == 3
    assert whole.step == 7
    assert ROWS in whole and Feature("fact", "group") not in whole


def test_exchange_hands_over_what_was_computed_for_this_ranks_rows() -> None:
    whole = GlobalBatch({ROWS: torch.ones(2, 4)}, SecondOfThree(), step=7)
    assert whole.exchange(torch.arange(6)).tolist() == [[2, 3], [2, 3], [2, 3]]

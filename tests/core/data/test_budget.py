"""The budget counts what is bad."""

import pytest

from mmx.data.budget import Budget
from mmx.data.views import Skipped
from mmx.errors import DataError


def test_a_step_that_is_not_taken_is_not_counted() -> None:
    budget = Budget(0.05, 44, lambda text: None)
    budget.spend([Skipped("a", "torn")], 0, 44)
    with pytest.raises(DataError, match="3 so far"):
        budget.spend([Skipped("b", "torn"), Skipped("c", "torn")], 0, 44)
    assert (budget.total, budget.in_epoch) == (1, 1)


def test_the_budget_is_a_share_of_an_epoch() -> None:
    said: list[str] = []
    budget = Budget(0.05, 44, said.append)
    budget.spend([Skipped("a", "torn")], 0, 44)
    budget.spend([Skipped("b", "torn")], 0, 44)
    budget.spend([Skipped("a", "torn"), Skipped("b", "torn")], 1, 44)
    assert (budget.total, budget.in_epoch) == (4, 2)
    assert said == ["skipped a: torn", "skipped b: torn"]
    with pytest.raises(
        DataError, match=r"bad samples in epoch 1: 3 so far, more than the 2 .* = 0.05 .*a: torn; b: torn; c: empty"
    ):
        budget.spend([Skipped("c", "empty")], 1, 44)


def test_the_budget_goes_on_where_it_was() -> None:
    budget = Budget(0.05, 44, lambda text: None, epoch=3, total=9, in_epoch=2)
    with pytest.raises(DataError, match="bad samples in epoch 3: 3 so far"):
        budget.spend([Skipped("a", "torn")], 3, 44)
    budget = Budget(0.05, 44, lambda text: None, epoch=3, total=9, in_epoch=2)
    budget.spend([Skipped("a", "torn")], 4, 44)
    assert (budget.total, budget.in_epoch) == (10, 1)


def test_no_bad_sample_is_allowed_by_a_share_that_is_less_than_one() -> None:
    with pytest.raises(DataError, match="more than the 0"):
        Budget(0.01, 44, lambda text: None).spend([Skipped("a", "torn")], 0, 44)


def test_where_no_sample_was_good_a_larger_share_is_no_advice() -> None:
    with pytest.raises(DataError, match=r"a: torn; b: torn\. No sample was good so far: look at the dataset's options"):
        Budget(0.01, 44, lambda text: None).spend([Skipped("a", "torn"), Skipped("b", "torn")], 0, 2)


def test_a_good_sample_that_is_left_out_is_counted_and_stops_no_run() -> None:
    said: list[str] = []
    budget = Budget(0.05, 44, said.append)  # two bad ones
    budget.spend(
        [Skipped("a", "torn"), Skipped("b", "torn"), *(Skipped(key, "left out", counts=False) for key in "cde")], 0, 44
    )
    assert (budget.total, budget.in_epoch) == (5, 2) and [line.split()[1] for line in said] == [
        f"{k}:" for k in "abcde"
    ]
    with pytest.raises(DataError, match="bad samples in epoch 0: 3 so far"):
        budget.spend([Skipped("f", "torn")], 0, 44)

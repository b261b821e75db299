"""The order of training depends on seed, epoch and position, and on nothing else."""

import pytest
import torch

from mmx.data.order import Order, Ticket, seed_of
from mmx.errors import DataError


def indices(order: Order, start: int, steps: int) -> list[list[int]]:
    return [[ticket.index for ticket in step] for step in order.tickets(start, steps)]


def test_an_epoch_is_a_permutation_without_its_incomplete_last_batch() -> None:
    order = Order(samples=44, batch=6, seed=0)
    for epoch in range(3):
        steps = indices(order, epoch * 7, epoch * 7 + 7)
        flat = [index for step in steps for index in step]
        assert all(len(step) == 6 for step in steps) and len(set(flat)) == 42 and set(flat) <= set(range(44))
        assert sorted(order.permutation(epoch)) == list(range(44)) and order.permutation(epoch)[:42] == flat


def test_every_epoch_and_every_seed_has_another_order() -> None:
    orders = {(seed, epoch): tuple(Order(44, 6, seed).permutation(epoch)) for seed in range(3) for epoch in range(5)}
    assert len(set(orders.values())) == 15


def test_samples_left_out_of_one_epoch_are_not_those_of_the_next() -> None:
    order = Order(samples=44, batch=6, seed=0)
    left = {frozenset(order.permutation(epoch)[42:]) for epoch in range(10)}
    assert len(left) > 5


def test_tickets_from_any_step_are_the_rest_of_all_tickets() -> None:
    order = Order(samples=20, batch=6, seed=3)
    every = list(order.tickets(0, 11))
    assert all(list(order.tickets(start, 11)) == every[start:] for start in range(12))
    assert every[3][0] == Ticket(order.permutation(1)[0], 1)


def test_the_global_generator_plays_no_part_and_is_left_alone() -> None:
    torch.manual_seed(1)
    first, state = indices(Order(20, 4, 0), 0, 9), torch.get_rng_state()
    torch.manual_seed(1)
    assert torch.equal(state, torch.get_rng_state())
    torch.manual_seed(2)
    assert indices(Order(20, 4, 0), 0, 9) == first


def test_the_order_is_the_same_in_every_version() -> None:
    # A change of this line breaks resuming runs of earlier versions.
    assert Order(samples=10, batch=2, seed=7).permutation(2) == [2, 7, 5, 3, 6, 4, 8, 0, 1, 9]


def test_places_count_epochs_and_positions() -> None:
    order = Order(samples=44, batch=6, seed=0)
    assert [order.place(step) for step in (0, 1, 6, 7, 15)] == [(0, 0), (0, 6), (0, 36), (1, 0), (2, 6)]


def test_seeds_differ_with_every_part_and_its_place() -> None:
    seeds = [seed_of("a", 1), seed_of("a", 2), seed_of("b", 1), seed_of(1, "a"), seed_of("a1"), seed_of("a", 1, "")]
    assert len(set(seeds)) == 6 and all(0 <= seed < 2**63 for seed in seeds)


def test_too_few_samples_are_refused() -> None:
    with pytest.raises(DataError, match="the training dataset has no samples"):
        Order(0, 4, 0)
    with pytest.raises(
        DataError, match=r"data.batch = 4 is more than the 3 training samples there are; lower data.batch"
    ):
        Order(3, 4, 0)
    assert Order(4, 4, 0).per_epoch == 1


@pytest.mark.parametrize("ranks", [2, 3, 6])
def test_ranks_have_equal_consecutive_parts_of_every_step(ranks: int) -> None:
    order = Order(samples=44, batch=6, seed=3)
    shares = [list(order.tickets(2, 9, rank, ranks)) for rank in range(ranks)]
    together = [[ticket for share in shares for ticket in share[step]] for step in range(7)]
    assert together == list(order.tickets(2, 9))

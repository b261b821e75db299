"""The order of training depends on seed, epoch and position, and on nothing else."""

import random
from collections import Counter

import pytest
import torch

from mmx.data.order import Order, Source, Ticket
from mmx.errors import DataError

MIXED = [Source((20, 13), 1.0, "a"), Source((7,), 3.0, "b"), Source((10, 10), 0.5, "c")]
"""33 samples once, 7 three times and half of 20: 64 samples an epoch."""
STARTS = {"a": 0, "b": 33, "c": 40}


def indices(order: Order, start: int, stop: int) -> list[int]:
    return [ticket.index for step in range(start, stop) for ticket in order.tickets(step)]


def source_of(index: int) -> str:
    return max((start, name) for name, start in STARTS.items() if start <= index)[1]


def test_an_epoch_has_each_sample_once_without_its_incomplete_last_batch() -> None:
    order = Order(44, 6, 0)
    for epoch in range(3):
        found = indices(order, epoch * 7, epoch * 7 + 7)
        assert len(found) == len(set(found)) == 42 and set(found) <= set(range(44))
        assert {ticket.epoch for step in range(7) for ticket in order.tickets(7 * epoch + step)} == {epoch}


def test_every_epoch_and_every_seed_has_another_order() -> None:
    orders = {
        (seed, epoch): tuple(indices(Order(44, 6, seed), 7 * epoch, 7 * epoch + 7))
        for seed in range(3)
        for epoch in range(5)
    }
    assert len(set(orders.values())) == 15


def test_samples_left_out_of_one_epoch_are_not_those_of_the_next() -> None:
    order = Order(44, 6, 0)
    left = {frozenset(range(44)) - frozenset(indices(order, 7 * epoch, 7 * epoch + 7)) for epoch in range(10)}
    assert len(left) > 5


@pytest.mark.parametrize("order", [Order(20, 6, 3), Order(MIXED, 6, 3), Order(MIXED, 6, 3, window=1, weighted=True)])
def test_what_is_asked_from_any_step_is_the_rest_of_all(order: Order) -> None:
    every = list(order.asked(0, 25))
    assert all(list(order.asked(start, 25)) == every[start:] for start in range(26))
    assert [asked.tickets for asked in every] == [order.tickets(step) for step in range(25)]


def test_each_step_names_the_samples_that_are_read_later() -> None:
    order = Order(44, 6, 0)
    asked = list(order.asked(2, 9, rank=1, ranks=2, ahead=3))
    for step, one in enumerate(asked):
        later = asked[step + 3].tickets if step + 3 < len(asked) else []
        assert list(one.ahead) == [ticket.index for ticket in later]
    assert not any(one.ahead for one in order.asked(2, 9))


def test_the_global_generator_plays_no_part_and_is_left_alone() -> None:
    torch.manual_seed(1)
    first, state = indices(Order(20, 4, 0), 0, 9), torch.get_rng_state()
    torch.manual_seed(1)
    assert torch.equal(state, torch.get_rng_state())
    torch.manual_seed(2)
    assert indices(Order(20, 4, 0), 0, 9) == first


def test_the_order_is_the_same_in_every_version() -> None:
    # A change of these lines breaks resuming runs of earlier versions.
    assert indices(Order(10, 5, 7), 4, 6) == [9, 1, 0, 3, 6, 7, 5, 4, 2, 8]
    assert indices(Order(MIXED, 8, 7, window=1), 8, 10) == [
        24,
        33,
        25,
        40,
        36,
        28,
        31,
        38,
        20,
        47,
        23,
        37,
        26,
        39,
        29,
        48,
    ]


def test_places_count_epochs_and_positions() -> None:
    order = Order(44, 6, 0)
    assert [order.place(step) for step in (0, 1, 6, 7, 15)] == [(0, 0), (0, 6), (0, 36), (1, 0), (2, 6)]


@pytest.mark.parametrize("window", [0, 1, 2])
def test_by_repetitions_an_epoch_has_each_source_as_often_as_asked_for(window: int) -> None:
    order = Order(MIXED, 8, 1, window)
    assert (order.samples, order.per_epoch) == (64, 8)
    for epoch in range(4):
        found = Counter(indices(order, 8 * epoch, 8 * epoch + 8))
        assert Counter(map(source_of, found.elements())) == {"a": 33, "b": 21, "c": 10}
        assert {found[index] for index in range(33)} == {1} and {found[index] for index in range(33, 40)} == {3}
        assert max(found[index] for index in range(40, 60)) == 1


def test_half_a_pass_in_one_epoch_is_followed_by_the_other_half() -> None:
    order = Order(MIXED, 8, 1)
    halves = [{index for index in indices(order, 8 * epoch, 8 * epoch + 8) if index >= 40} for epoch in range(2)]
    assert halves[0] | halves[1] == set(range(40, 60)) and not halves[0] & halves[1]


def test_each_time_a_sample_comes_it_is_of_another_pass() -> None:
    order = Order(MIXED, 8, 1)
    tickets = [ticket for step in range(16) for ticket in order.tickets(step)]
    assert len(set(tickets)) == len(tickets)
    assert {ticket.epoch for ticket in tickets if ticket.index == 35} == set(range(6))


def test_by_weights_each_source_has_its_share_of_every_few_batches() -> None:
    sources = [Source((500,), 3.0, "a"), Source((20,), 1.0, "b")]
    order = Order(sources, 16, 0, weighted=True)
    assert (order.samples, order.per_epoch) == (520, 32)
    for step in range(100):
        assert sum(ticket.index < 500 for ticket in order.tickets(step)) == 12
    passes = Counter(ticket for step in range(100) for ticket in order.tickets(step) if ticket.index >= 500)
    assert set(passes.values()) == {1}, "each sample once a pass"
    assert {ticket.epoch for ticket in passes} == set(range(20)), "400 draws of 20 samples are 20 passes"


def test_the_order_of_a_source_does_not_depend_on_those_beside_it() -> None:
    one, other = Order(MIXED, 8, 5), Order([MIXED[1], MIXED[0]], 8, 5)
    mine = [index for index in indices(one, 0, 8) if index < 33]
    theirs = [index - 7 for index in indices(other, 0, 6) if index >= 7]
    assert mine[:20] == theirs[:20]


def test_windows_read_a_run_at_a_time() -> None:
    order = Order([Source((10,) * 6)], 10, 0, window=2)
    runs = [{ticket.index // 10 for ticket in order.tickets(step)} for step in range(6)]
    assert [runs[0] | runs[1], runs[2] | runs[3], runs[4] | runs[5]] == [runs[0], runs[2], runs[4]]
    assert len(set.union(*runs)) == 6 and all(len(run) == 2 for run in runs)


def reads(order: Order, ranks: int, block: int, mixed: bool) -> float:
    """Return how often each block of samples that lie together is read in an epoch, by ranks that keep what they read."""
    seen, drawn = [set[int]() for _ in range(ranks)], random.Random(0)
    for step in range(order.per_epoch):
        rows = [ticket.index // block for ticket in order.tickets(step)]
        if mixed:
            drawn.shuffle(rows)
        for rank, share in enumerate(seen):
            share.update(rows[rank * len(rows) // ranks : (rank + 1) * len(rows) // ranks])
    return sum(map(len, seen)) / (order.samples / block)


def test_with_a_window_each_rank_reads_its_own_part_of_the_data() -> None:
    order = Order([Source((2000,) * 64)], 4096, 0, window=64)
    for ranks, most in {1: 1.01, 8: 1.5, 32: 2.7}.items():
        ours, naive = reads(order, ranks, 125, mixed=False), reads(order, ranks, 125, mixed=True)
        print(f"{ranks} machines read each block {ours:.2f} times; rows in a random order: {naive:.2f} times")
        assert ours < most and naive > 0.85 * ranks


def test_with_a_window_each_rank_has_its_share_of_each_source() -> None:
    order = Order([Source((100,) * 8, 3.0, "a"), Source((100,) * 8, 1.0, "b")], 64, 0, window=4, weighted=True)
    for rank in range(4):
        for asked in order.asked(0, 20, rank, 4):
            assert sum(ticket.index < 800 for ticket in asked.tickets) == 12


def test_too_few_samples_are_refused() -> None:
    with pytest.raises(DataError, match="the training dataset has no samples"):
        Order(0, 4, 0)
    with pytest.raises(DataError, match="the training dataset b has no samples"):
        Order([Source((3,), name="a"), Source((), name="b")], 2, 0)
    with pytest.raises(
        DataError, match=r"data.batch = 4 is more than the 3 training samples there are; lower data.batch"
    ):
        Order(3, 4, 0)
    assert Order(4, 4, 0).per_epoch == 1


def test_a_weight_that_is_next_to_nothing_is_refused() -> None:
    with pytest.raises(DataError, match=r"data.mix.weights.b is less than a millionth of all weights"):
        Order([Source((9,), 1.0, "a"), Source((9,), 1e-9, "b")], 2, 0, weighted=True)


def test_a_repetition_that_is_next_to_nothing_is_refused() -> None:
    with pytest.raises(DataError, match=r"data.mix.repeat.b is less than half a sample an epoch"):
        Order([Source((9,), 1.0, "a"), Source((9,), 0.01, "b")], 2, 0)


@pytest.mark.parametrize("ranks", [2, 3, 6])
@pytest.mark.parametrize("sources", [44, MIXED])
def test_ranks_have_equal_consecutive_parts_of_every_step(ranks: int, sources: int | list[Source]) -> None:
    order = Order(sources, 6, 3)
    shares = [list(order.asked(2, 9, rank, ranks)) for rank in range(ranks)]
    together = [[ticket for share in shares for ticket in share[step].tickets] for step in range(7)]
    assert together == [order.tickets(step) for step in range(2, 9)]


def test_a_place_late_in_a_run_of_billions_is_found_at_once() -> None:
    order = Order([Source((10_000,) * 200_000, 1.0, "a"), Source((999,) * 7, 2.5, "b")], 4096, 0, window=64)
    tickets = order.tickets(3_000_000)
    assert len(set(tickets)) == 4096 and tickets == order.tickets(3_000_000)
    assert Ticket(max(tickets, key=lambda ticket: ticket.index).index, 6) in tickets

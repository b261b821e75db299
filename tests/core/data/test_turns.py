"""Sources in turns: which samples a step has, where it stands in its epoch, and how often each source is passed over."""

from collections import Counter

import pytest

from mmx.data.interleave import Interleave
from mmx.data.order import Order, Source
from mmx.data.turns import Turn, Turns
from mmx.errors import DataError

PAIRS, IMAGES, TEXTS = (
    Source((20, 13), name="pairs"),
    Source((50,), name="images", start=33),
    (
        Source((10, 7), name="news", start=83),
        Source((34,), name="books", start=100),
    ),
)


def turns(window: int = 0) -> Turns:
    return Turns(
        {
            "pairs": Turn(Order([PAIRS], 6, 1, window), 2.0),
            "images": Turn(Order([IMAGES], 5, 1, window), 1.0),
            "texts": Turn(Order(TEXTS, 9, 1, window), 1.0),
        }
    )


def turn_of(order: Turns, step: int) -> str:
    indices = {ticket.index for ticket in order.tickets(step)}
    found = {"pairs" if index < 33 else "images" if index < 83 else "texts" for index in indices}
    assert len(found) == 1, "a step has samples of one turn"
    return found.pop()


def test_each_step_is_one_turn_and_turns_have_their_shares() -> None:
    order = turns()
    taken = [turn_of(order, step) for step in range(40)]
    assert all(Counter(taken[first : first + 4]) == {"pairs": 2, "images": 1, "texts": 1} for first in range(0, 40, 4))
    sizes = {"pairs": 6, "images": 5, "texts": 9}
    assert [order.rows(step) for step in range(40)] == [sizes[turn] for turn in taken]
    assert [len(order.tickets(step)) for step in range(40)] == [sizes[turn] for turn in taken]


def test_a_turn_has_the_very_steps_that_it_has_alone() -> None:
    order, alone = turns(), Order([PAIRS], 6, 1)
    steps = [step for step in range(60) if turn_of(order, step) == "pairs"]
    assert [order.tickets(step) for step in steps] == [alone.tickets(number) for number in range(len(steps))]


def test_sources_of_a_turn_are_mixed_and_passed_over_equally() -> None:
    order = turns()
    texts = [ticket for step in range(400) if turn_of(order, step) == "texts" for ticket in order.tickets(step)]
    first = Counter(ticket.index for ticket in texts[: 5 * 9])
    assert set(first.values()) == {1}, "none twice in a pass"
    assert {ticket.index for ticket in texts} == set(range(83, 134))
    assert 1 / 3.3 < sum(ticket.index < 100 for ticket in texts) / len(texts) < 1 / 2.7, "17 of 51"


def test_an_epoch_has_as_many_samples_as_there_are_and_places_count_them() -> None:
    order = turns()
    assert order.samples == 33 + 50 + 51 and order.per_epoch == 134 * 4 // (2 * 6 + 5 + 9)
    for step in range(3 * order.per_epoch):
        epoch, first = order.place(step)
        assert epoch == step // order.per_epoch
        assert first == sum(order.rows(before) for before in range(epoch * order.per_epoch, step))


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_ranks_divide_each_step(ranks: int) -> None:
    order = Turns({"a": Turn(Order([PAIRS], 6, 1)), "b": Turn(Order([IMAGES], 12, 1))})
    parts = [list(order.asked(0, 12, rank, ranks, ahead=2)) for rank in range(ranks)]
    for step in range(12):
        assert [ticket for part in parts for ticket in part[step].tickets] == order.tickets(step)
        assert {len(part[step].tickets) for part in parts} == {order.rows(step) // ranks}


def test_the_first_step_of_each_sort_is_known_with_its_share() -> None:
    order = turns()
    assert [(turn_of(order, step), share) for step, share in order.sorts()] == [
        ("pairs", 0.5),
        ("images", 0.25),
        ("texts", 0.25),
    ]


def test_a_weight_that_is_next_to_nothing_is_refused() -> None:
    with pytest.raises(DataError, match=r"data.turns.b.weight is less than a millionth"):
        Turns({"a": Turn(Order([PAIRS], 6, 1), 1e9), "b": Turn(Order([IMAGES], 6, 1), 1.0)})


@pytest.mark.parametrize("counts", [(1,), (3, 1), (5, 3, 2), (1, 1, 1), (1000, 1, 7)])
def test_how_many_of_each_stand_before_a_position_is_counted(counts: tuple[int, ...]) -> None:
    line, seen = Interleave(counts), Counter[int]()
    for position in range(3 * line.period if line.period < 50 else 1100):
        assert list(line.before(position)) == [seen[source] for source in range(len(counts))]
        seen[int(line(position, 1)[0][0])] += 1

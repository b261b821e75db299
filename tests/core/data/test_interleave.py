"""How sources share positions, against a plain sort of all times."""

from collections import Counter

import pytest

from mmx.data.interleave import Interleave

COUNTS = [(5,), (3, 4), (1, 1, 1), (100, 1), (7, 7, 2, 30), (1, 1000, 999)]


def plain(counts: tuple[int, ...], periods: int) -> list[tuple[int, int]]:
    """Return sources and places by the definition."""
    once = sorted(((2 * j + 1) / (2 * count), i, j) for i, count in enumerate(counts) for j in range(count))
    return [(i, j + period * counts[i]) for period in range(periods) for _, i, j in once]


def found(line: Interleave, first: int, number: int) -> list[tuple[int, int]]:
    sources, places = line(first, number)
    return list(zip(sources.tolist(), places.tolist(), strict=True))


@pytest.mark.parametrize("counts", COUNTS)
def test_any_part_is_that_of_the_plain_line(counts: tuple[int, ...]) -> None:
    line, whole = Interleave(counts), plain(counts, 4)
    assert found(line, 0, len(whole)) == whole
    for first in range(0, 3 * sum(counts), max(1, sum(counts) // 7)):
        for number in (1, 2, sum(counts) // 2 + 1):
            assert found(line, first, number) == whole[first : first + number]


def test_shares_are_even_all_along() -> None:
    line = Interleave((10**9, 3 * 10**9, 7))
    for first in (0, 10**6, 2 * 10**9 + 12345, 4 * 10**9 - 3000):
        counts = Counter(line(first, 4000)[0].tolist())
        assert abs(counts[0] - 1000) <= 2 and abs(counts[1] - 3000) <= 2 and counts[2] <= 1


def test_parts_of_a_huge_line_join() -> None:
    line = Interleave((10**9 + 7, 3 * 10**8 + 1, 12345))
    whole = found(line, 777_777_777, 600)
    assert [pair for start in range(0, 600, 60) for pair in found(line, 777_777_777 + start, 60)] == whole
    for source in range(3):
        places = [place for i, place in whole if i == source]
        assert places == list(range(places[0], places[0] + len(places))) if places else True

"""Orders that are computed a part at a time."""

from collections import Counter

import numpy as np
import pytest

from mmx.data.permute import Permutation, seed_of


@pytest.mark.parametrize("count", [1, 2, 3, 10, 255, 256, 257, 1000, 65_537])
@pytest.mark.parametrize("seed", [0, 1])
def test_each_number_comes_once(count: int, seed: int) -> None:
    assert sorted(Permutation(count, seed)(np.arange(count)).tolist()) == list(range(count))


def test_a_part_is_that_of_the_whole() -> None:
    order, whole = Permutation(1000, 3), Permutation(1000, 3)(np.arange(1000))
    assert np.array_equal(order(np.array([999, 5, 5, 0])), whole[[999, 5, 5, 0]])


def test_numbers_beyond_32_bits_are_permuted_too() -> None:
    count = 10**12 + 7
    found = Permutation(count, 0)(np.arange(count - 50_000, count))
    assert len(set(found.tolist())) == 50_000 and found.min() >= 0 and found.max() < count
    assert np.histogram(found, bins=10, range=(0, count))[0].min() > 4_600


def test_every_order_of_a_few_is_equally_likely() -> None:
    seen = Counter(tuple(Permutation(4, seed)(np.arange(4)).tolist()) for seed in range(4800))
    chi_square = sum((seen[order] - 200) ** 2 / 200 for order in seen)
    assert len(seen) == 24 and chi_square < 49.7  # 23 degrees of freedom, p = 0.001


def test_neighbours_are_not_neighbours() -> None:
    found = Permutation(10_000, 1)(np.arange(10_000)).astype(float)
    assert abs(np.corrcoef(found[1:], found[:-1])[0, 1]) < 0.04
    assert abs(np.corrcoef(found, np.arange(10_000))[0, 1]) < 0.04


def test_seeds_differ_with_every_part_and_its_place() -> None:
    seeds = [seed_of("a", 1), seed_of("a", 2), seed_of("b", 1), seed_of(1, "a"), seed_of("a1"), seed_of("a", 1, "")]
    assert len(set(seeds)) == 6 and all(0 <= seed < 2**63 for seed in seeds)

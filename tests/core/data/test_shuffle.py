"""The order of one pass."""

import numpy as np
import pytest

from mmx.data.shuffle import Shuffle

RUNS = (3, 11, 7, 1, 20, 2)


def pass_of(shuffle: Shuffle, turn: int) -> list[int]:
    return shuffle(turn, np.arange(shuffle.count)).tolist()


@pytest.mark.parametrize("window", [0, 1, 2, 4, 6, 100])
def test_each_sample_comes_once_a_pass(window: int) -> None:
    shuffle = Shuffle(RUNS, window, 0)
    passes = [pass_of(shuffle, turn) for turn in range(4)]
    assert all(sorted(found) == list(range(44)) for found in passes) and len(set(map(tuple, passes))) == 4


@pytest.mark.parametrize("window", [0, 2])
def test_a_part_is_that_of_the_whole(window: int) -> None:
    whole = pass_of(Shuffle(RUNS, window, 5), 3)
    places = np.array([43, 0, 17, 17, 8])
    assert Shuffle(RUNS, window, 5)(3, places).tolist() == [whole[place] for place in places]


def test_a_window_has_whole_runs_in_an_order_that_is_random_too() -> None:
    ends = np.cumsum(RUNS)
    firsts = set[tuple[int, ...]]()
    for turn in range(20):
        found = np.searchsorted(ends, pass_of(Shuffle(RUNS, 2, 0), turn), side="right")
        windows: list[set[int]] = []
        while found.size:
            length = next(
                n
                for n in range(1, found.size + 1)
                if n == sum(RUNS[run] for run in set(found[:n].tolist())) and len(set(found[:n].tolist())) == 2
            )
            windows.append(set(found[:length].tolist()))
            found = found[length:]
        assert len(windows) == 3 and set.union(*windows) == set(range(6))
        firsts.add(tuple(sorted(windows[0])))
    assert len(firsts) > 5


def test_within_a_window_samples_of_its_runs_are_mixed() -> None:
    found = np.array(pass_of(Shuffle((500, 500), 2, 0), 0)) >= 500
    assert 200 < found[:500].sum() < 300

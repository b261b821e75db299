import pytest

from mmx_zeroshot.interval import wilson


def test_equals_the_published_formula_at_a_known_point() -> None:
    # 10 of 50 at 95 %: the worked example of Newcombe (1998) style tables, 0.1124 to 0.3304.
    low, high = wilson(10, 50)
    assert low == pytest.approx(0.11244, abs=1e-4)
    assert high == pytest.approx(0.33037, abs=1e-4)


def test_stays_within_zero_and_one_at_the_ends() -> None:
    assert wilson(0, 20)[0] == 0.0
    assert wilson(20, 20)[1] == 1.0
    assert wilson(0, 0) == (0.0, 1.0)


def test_narrows_with_more_samples() -> None:
    few, many = wilson(3, 10), wilson(300, 1000)
    assert many[1] - many[0] < few[1] - few[0]

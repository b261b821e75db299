"""Rates and times, on a clock that only moves when told to."""

import time

import pytest

from mmx.train.clock import Clock


class Hands:
    """A clock's hands."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

    def work(self, clock: Clock, steps: int, waiting: float = 0.25, computing: float = 0.75) -> None:
        """Take steps of 8 rows, a second each."""
        for _ in range(steps):
            with clock.waiting():
                self.now += waiting
            self.now += computing
            clock.step(8, {})


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    return Hands(monkeypatch)


def test_rates_waiting_and_the_time_left(hands: Hands) -> None:
    clock = Clock(spent=0.0)
    hands.work(clock, 4)
    images, waited, left = clock.record(left=10)
    assert (images, waited, left) == pytest.approx((8.0, 0.25, 10.0))


def test_evaluations_and_checkpoints_count_as_time_but_not_in_rates(hands: Hands) -> None:
    clock = Clock(spent=0.0)
    hands.work(clock, 2)
    with clock.aside():
        hands.now += 50
    images, waited, left = clock.record(left=4)
    assert (images, waited, left) == pytest.approx((8.0, 0.25, 4.0)) and clock.seconds == pytest.approx(52.0)


def test_a_resumed_run_goes_on_counting(hands: Hands) -> None:
    clock = Clock(spent=30.0)
    hands.now += 5
    assert clock.seconds == pytest.approx(35.0)


def test_rates_follow_the_last_records_and_waiting_only_the_last(hands: Hands) -> None:
    clock = Clock(spent=0.0, window=2)
    hands.work(clock, 5, waiting=1.0, computing=9.0)
    clock.record(left=9)
    hands.work(clock, 2)
    assert clock.record(left=9)[0] == pytest.approx(7 * 8 / 52)
    hands.work(clock, 2, waiting=0.5, computing=0.5)
    assert clock.record(left=9) == pytest.approx((8.0, 0.5, 9.0))


def test_what_an_error_interrupts_is_counted_nowhere(hands: Hands) -> None:
    clock = Clock(spent=0.0)
    with pytest.raises(KeyError), clock.waiting():
        hands.now += 3
        raise KeyError
    hands.now += 1
    clock.step(8, {})
    assert clock.record(left=1)[0] == pytest.approx(2.0)


def test_the_slowest_stage_is_that_of_the_last_interval(hands: Hands) -> None:
    clock = Clock(spent=0.0)
    assert clock.slowest() == ""
    clock.step(8, {"read": 3.0, "decode": 1.0})
    clock.step(8, {"read": 0.0, "decode": 2.5})
    assert clock.slowest() == "decode"
    clock.step(8, {"read": 1.0, "decode": 0.5})
    assert clock.slowest() == "read" and clock.slowest() == ""

"""Counts by source."""

from mmx.data.views import Skipped
from mmx.parts.events import Counts
from mmx.train.tally import Tally


def test_samples_are_counted_by_the_source_that_their_key_begins_with() -> None:
    tally = Tally(["cc3m", "own"], {})
    tally.step(["cc3m/0/1", "own/x", "cc3m/0/2"], [Skipped("own/y", "torn")])
    tally.step(["cc3m/0/3"], [])
    assert tally.record() == {"cc3m": Counts(3, 0), "own": Counts(1, 1)}
    assert tally.record() == {"cc3m": Counts(0, 0), "own": Counts(0, 0)}


def test_the_only_source_counts_whatever_its_keys_are() -> None:
    tally = Tally([], {})
    tally.step(["a/b", "c"], [Skipped("d/e", "torn")])
    assert tally.record() == {"train": Counts(2, 1)}


def test_a_resumed_run_goes_on_counting() -> None:
    before = Tally(["a", "b"], {})
    before.step(["a/1", "b/1"], [Skipped("a/2", "torn")])
    after = Tally(["a", "b"], before.state())
    after.step(["a/3"], [])
    assert after.record() == {"a": Counts(2, 1), "b": Counts(1, 0)}

"""What the processes of a run agree on before each step; each process here is told what the others have."""

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any, TypeVar, cast, final

import pytest
import torch
from torch import Tensor
from typing_extensions import override

from mmx.data.views import Skipped, StepData
from mmx.errors import DataError, MmxError, TrainingError
from mmx.launch.agree import agree_on, on_main
from mmx.launch.signals import Stop
from mmx.learn.objective import Objective
from mmx.parts.batch import Batch, Pixels, Words
from mmx.parts.engine import Engine
from mmx.parts.group import Group
from mmx.train import sync as meeting
from mmx.train.sync import GlobalStep, LocalStep, sync_step

T = TypeVar("T")
TERM, USR1 = Stop("received SIGTERM", 143), Stop("received SIGUSR1", 75)


@final
class Ranks(Group):
    """A data-parallel rank that computes nothing."""

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size

    @override
    def gather(self, rows: Tensor) -> Tensor:
        raise NotImplementedError

    @override
    def exchange(self, parts: Tensor) -> Tensor:
        raise NotImplementedError

    @override
    def sum(self, value: Tensor) -> Tensor:
        raise NotImplementedError


@final
class Told(Engine):
    """One of several processes, with what they all say: one list for each time that it asks."""

    device = torch.device("cpu")
    scaled = False

    def __init__(self, number: int, group: Group, *answers: Sequence[object]) -> None:
        self.number, self.main, self.group = number, number == 0, group
        self.answers = list(answers)
        self.gave: list[object] = []

    @override
    def everyone(self, value: T) -> list[T]:
        self.gave.append(value)
        answer = list(self.answers.pop(0))
        answer[self.number] = value
        return cast("list[T]", answer)

    @override
    def describe(self) -> str:
        return "told"

    @override
    def prepare(self, objective: Objective, optimizer: torch.optim.Optimizer) -> None:
        raise NotImplementedError

    @override
    def backward(self, batch: Batch, micro_batches: int) -> None:
        raise NotImplementedError

    @override
    def clip(self, norm: float | None) -> float:
        raise NotImplementedError

    @override
    def step(self) -> bool:
        raise NotImplementedError

    @override
    def weights(self) -> dict[str, Tensor]:
        raise NotImplementedError

    @override
    def gradients(self) -> dict[str, Tensor]:
        raise NotImplementedError

    @override
    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        raise NotImplementedError

    @override
    def load(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        raise NotImplementedError


def batch(keys: str, *facts: str) -> Batch:
    """Rows that can be told apart by their content: each has the code of its key's letter."""
    if not keys:
        return Batch({}, {})
    codes = torch.tensor([ord(key) for key in keys])
    pixels = codes.to(torch.uint8)[:, None, None, None].expand(-1, 3, 2, 2).clone()
    words = codes[:, None].expand(-1, 4).clone()
    return Batch(
        images={"clean": Pixels(pixels)},
        texts={"clean": Words(words, torch.ones_like(words, dtype=torch.bool))},
        facts={name: codes.clone() for name in facts},
        keys=list(keys),
    )


def here(
    row: int, keys: str | None, *facts: str, bad: str = "", stop: Stop | None = None, due: bool = False
) -> LocalStep:
    """What a process has: samples that are letters."""
    loaded = None if keys is None else StepData(batch(keys, *facts), [Skipped(key, "is torn") for key in bad])
    return LocalStep(row, loaded, stop, due)


def engines(all_of_them: Sequence[LocalStep]) -> list[Told]:
    """The processes that have these things."""
    size = len({each.row for each in all_of_them})
    said = [meeting._told(each) for each in all_of_them]
    rows = [(each.row, None if each.loaded is None else each.loaded.batch) for each in all_of_them]
    return [Told(number, Ranks(each.row, size), said, rows) for number, each in enumerate(all_of_them)]


def met(*all_of_them: LocalStep) -> list[GlobalStep]:
    """Let all processes meet."""
    return [sync_step(engine, each) for engine, each in zip(engines(all_of_them), all_of_them, strict=True)]


def rows_of(found: GlobalStep) -> str:
    """Return the samples of a process, which must be the same in keys, pictures, words and facts."""
    assert found.loaded is not None
    rows = found.loaded.batch
    letters = "".join(rows.keys)
    codes = [ord(letter) for letter in letters]
    for view in rows.images.values():
        assert view.pixels[:, 0, 0, 0].tolist() == codes
    for view in rows.texts.values():
        assert view.ids[:, 0].tolist() == codes
    assert all(fact.tolist() == codes for fact in rows.facts.values())
    return letters


def agreed(found: Sequence[GlobalStep]) -> GlobalStep:
    """Return what all processes have in common, which is all but their rows."""
    first = found[0]
    for one in found:
        assert (list(one.keys), list(one.bad), one.stop, one.due) == (
            list(first.keys),
            list(first.bad),
            first.stop,
            first.due,
        )
    return first


def test_one_process_goes_on_with_what_it_has() -> None:
    found = met(here(0, "abc", "group", bad="x", due=True))[0]
    assert rows_of(found) == "abc" and list(found.keys) == ["a", "b", "c"]
    assert [bad.key for bad in found.bad] == ["x"] and found.stop is None and found.due


def test_equal_rows_stay_where_they_are_and_are_named_in_the_order_of_ranks() -> None:
    found = met(here(0, "ab", "group"), here(1, "cd", "group"))
    assert [rows_of(one) for one in found] == ["ab", "cd"] and list(agreed(found).keys) == list("abcd")
    assert all(one.loaded and set(one.loaded.batch.facts) == {"group"} for one in found)


def test_equal_rows_are_not_sent_around() -> None:
    both = [here(0, "ab"), here(1, "cd")]
    for engine, each in zip(engines(both), both, strict=True):
        sync_step(engine, each)
        assert len(engine.gave) == 1 and not isinstance(engine.gave[0], LocalStep)


def test_bad_samples_of_all_are_known_to_all() -> None:
    found = met(here(0, "ab", bad="xy"), here(1, "cd", bad="z"))
    assert [bad.key for bad in agreed(found).bad] == ["x", "y", "z"]


@pytest.mark.parametrize(
    ("given", "left"),
    [
        (("abcd", "e"), "e"),
        (("a", "bcd"), ""),
        (("abc", "d"), ""),
        (("", "abcd"), ""),
        (("abcde", ""), "e"),
        (("abc", "de", "fgh"), "gh"),
        (("a", "", "bcdefg"), "g"),
        (("a", "b", ""), "ab"),
    ],
)
def test_unequal_rows_are_divided_anew_and_the_rest_is_left_out(given: tuple[str, ...], left: str) -> None:
    found = met(*(here(row, keys, "group", bad="xyz"[row]) for row, keys in enumerate(given)))
    whole = "".join(given)
    trained = whole.removesuffix(left)
    parts = [rows_of(one) for one in found]
    assert "".join(parts) == trained and {len(part) for part in parts} == {len(trained) // len(given)}
    all_of_them = agreed(found)
    assert "".join(all_of_them.keys) == trained
    assert "".join(bad.key for bad in all_of_them.bad) == "xyz"[: len(given)] + left
    for bad in all_of_them.bad[len(given) :]:
        expected = f"the {len(whole)} good samples of the step do not divide over {len(given)} ranks"
        assert bad.reason == f"left out, since {expected}"


def test_what_one_rank_read_badly_stays_with_it_in_the_rows_that_it_trains_on() -> None:
    found = met(here(0, "abc", bad="x"), here(1, "d", bad="y"))
    assert [[bad.key for bad in one.loaded.bad] for one in found if one.loaded] == [["x"], ["y"]]


def test_nobody_has_a_good_sample() -> None:
    found = met(here(0, "", bad="a"), here(1, "", bad="b"))
    assert [rows_of(one) for one in found] == ["", ""] and list(agreed(found).keys) == []
    assert [bad.key for bad in agreed(found).bad] == ["a", "b"]


@pytest.mark.parametrize("given", [("ab", "cd"), ("abc", "d")])
def test_facts_that_not_every_rank_has_are_left_out(given: tuple[str, str]) -> None:
    found = met(here(0, given[0], "group", "year"), here(1, given[1], "group", "place"))
    assert all(one.loaded and set(one.loaded.batch.facts) == {"group"} for one in found)
    assert "".join(map(rows_of, found)) == "abcd"


def test_a_rank_without_rows_does_not_decide_on_facts() -> None:
    found = met(here(0, "abcd", "group"), here(1, "", bad="x"))
    assert [rows_of(one) for one in found] == ["ab", "cd"]
    assert all(one.loaded and set(one.loaded.batch.facts) == {"group"} for one in found)


def test_processes_that_hold_parts_of_one_model_have_the_same_rows() -> None:
    found = met(here(0, "ab", bad="x"), here(0, "ab", bad="x"), here(1, "cd"), here(1, "cd"))
    assert [rows_of(one) for one in found] == ["ab", "ab", "cd", "cd"]
    assert "".join(agreed(found).keys) == "abcd" and [bad.key for bad in agreed(found).bad] == ["x"]


def test_processes_that_hold_parts_of_one_model_divide_unequal_rows_alike() -> None:
    found = met(here(0, "abc"), here(1, "d", bad="x"), here(0, "abc"), here(1, "d", bad="x"))
    assert [rows_of(one) for one in found] == ["ab", "cd", "ab", "cd"]
    assert [bad.key for bad in agreed(found).bad] == ["x"]


@pytest.mark.parametrize(("other", "named"), [("ac", "b"), ("ba", "a"), ("abc", "one more sample"), ("a", "one more")])
def test_parts_of_one_model_that_read_other_samples_fail_everywhere(other: str, named: str) -> None:
    all_of_them = [here(0, "ab"), here(0, other), here(1, "cd"), here(1, "cd")]
    for engine, each in zip(engines(all_of_them), all_of_them, strict=True):
        with pytest.raises(DataError, match=rf"different samples of the same step \(the first: {named}"):
            sync_step(engine, each)


def test_an_error_of_one_is_raised_by_all_and_by_each_its_own() -> None:
    mine, other = DataError("shard 3 is gone"), TrainingError("something else")
    none, first, second = here(0, "a"), LocalStep(1, None, None, False, mine), LocalStep(2, None, None, False, other)
    for found, expected in zip(errors(none, first, second), (mine, mine, other), strict=True):
        assert found is expected


def test_an_error_goes_before_a_stop_and_before_rows_that_differ() -> None:
    lost = DataError("shard 3 is gone")
    found = errors(here(0, "a", stop=TERM), LocalStep(0, None, None, False, lost), here(0, "b", due=True))
    assert all(error is lost for error in found)


def errors(*all_of_them: LocalStep) -> list[MmxError]:
    """Let all processes meet, and return what each raises."""
    raised: list[MmxError] = []
    for engine, each in zip(engines(all_of_them), all_of_them, strict=True):
        with pytest.raises(MmxError) as caught:
            sync_step(engine, each)
        raised.append(caught.value)
    return raised


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_stop_of_one_stops_all_before_the_step(order: tuple[int, ...]) -> None:
    some = [here(0, "ab"), here(1, None, stop=TERM), here(2, "c")]
    found = agreed(met(*(some[index] for index in order)))
    assert found.stop == TERM and found.loaded is None and list(found.keys) == [] and list(found.bad) == []


def test_of_several_stops_all_name_that_of_the_lowest_process() -> None:
    found = met(here(0, "a"), here(1, "b", stop=USR1), here(2, None, stop=TERM))
    assert agreed(found).stop == USR1 and all(one.loaded is None for one in found)


@pytest.mark.parametrize("stop", [None, TERM])
@pytest.mark.parametrize(("main", "other"), [(True, False), (False, True)])
def test_whether_a_checkpoint_is_due_is_up_to_the_main_process(main: bool, other: bool, stop: Stop | None) -> None:
    """Clocks differ: only one of them may decide, or some would save and others not."""
    assert agreed(met(here(0, "a", due=main, stop=stop), here(1, "b", due=other))).due is main


def test_only_the_main_process_acts() -> None:
    done: list[int] = []
    for number in range(2):
        on_main(Told(number, Ranks(number, 2), [None, None]), lambda number=number: done.append(number))
    assert done == [0]


def test_what_the_main_process_fails_with_is_raised_by_all() -> None:
    full = MmxError("the disk is full")

    def fail() -> None:
        raise full

    for number in range(2):
        engine = Told(number, Ranks(number, 2), [full, None])
        with pytest.raises(MmxError) as caught:
            on_main(engine, fail)
        assert caught.value is full and engine.gave == [full if number == 0 else None]


def test_what_is_not_meant_for_users_is_not_hidden() -> None:
    engine = Told(0, Ranks(0, 2), [None, None])

    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        on_main(engine, fail)
    assert engine.gave == []


def test_all_agree_that_nothing_failed() -> None:
    engine = Told(1, Ranks(1, 2), [None, None])
    agree_on(engine, None)
    assert engine.gave == [None] and engine.answers == []


def test_each_raises_its_own_error_or_else_the_first() -> None:
    first, second = DataError("first"), DataError("second")
    said = [None, first, second]
    for number, expected in enumerate((first, first, second)):
        with pytest.raises(DataError) as caught:
            agree_on(Told(number, Ranks(number, 3), said), said[number])
        assert caught.value is expected

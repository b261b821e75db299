import pytest
import torch

from mmx.parts.report import Numbers, means, report


def test_nobody_listens_and_nothing_happens() -> None:
    report("accuracy", 1.0)


def test_it_is_the_mean_of_all_entries_of_all_calls() -> None:
    told = Numbers()
    with told.listening():
        report("accuracy", torch.tensor([1.0, 0.0, 1.0]))
        report("accuracy", torch.tensor(0.0))
        report("norm", 2.0)
    report("norm", 100.0)
    assert told.totals() == {"accuracy": (2.0, 4.0), "norm": (2.0, 1.0)}
    assert means([told.totals()]) == {"accuracy": 0.5, "norm": 2.0}


def test_ranks_count_by_their_rows_and_need_not_all_report() -> None:
    assert means([{"a": (3.0, 3.0)}, {"a": (0.0, 1.0), "b": (4.0, 2.0)}, {}]) == {"a": 0.75, "b": 2.0}
    assert means([{"a": (0.0, 0.0)}]) == {}


def test_no_gradient_flows_through_it() -> None:
    told, weight = Numbers(), torch.ones(2, requires_grad=True)
    with told.listening():
        report("norm", weight * 2)
    assert told.totals() == {"norm": (4.0, 2.0)}


def test_inner_listeners_take_over_for_a_while() -> None:
    outer, inner = Numbers(), Numbers()
    with outer.listening():
        with pytest.raises(KeyError), inner.listening():
            report("a", 1.0)
            raise KeyError
        report("b", 1.0)
    assert (set(outer.totals()), set(inner.totals())) == ({"b"}, {"a"})

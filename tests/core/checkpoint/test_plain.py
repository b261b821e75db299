"""Plain values come back from a checkpoint equal, or are refused by name."""

from pathlib import Path

import pytest
import torch

from mmx.checkpoint.plain import Plain
from mmx.checkpoint.store import Store
from mmx.errors import CheckpointError


def test_values_come_back_equal(tmp_path: Path) -> None:
    values: dict[str, Plain] = {
        "int": 2**80,
        "float": 0.1,
        "small": 5e-324,
        "negative": -0.0,
        "text": 'quote " and ünïcode \ud800\n',
        "list": [1, [2.0, None], {"deep": True}],
        "none": None,
        "": {},
    }
    loaded = Store(tmp_path).read(Store(tmp_path).save(1, {}, values))
    assert loaded.values == values
    assert str(loaded.values["negative"]) == "-0.0" and type(loaded.values["float"]) is float


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (float("nan"), "'a.b' of the state is nan"),
        ([1, float("inf")], r"'a.b\[1\]' of the state is inf"),
        ((1, 2), "tuple"),
        ({1: 2}, "text keys"),
        (torch.ones(1), "Tensor"),
        (b"x", "bytes"),
        (Path("x"), "Path"),
    ],
)
def test_values_that_would_change_are_refused_by_name(tmp_path: Path, value: Plain, said: str) -> None:
    with pytest.raises(CheckpointError, match=said):
        Store(tmp_path).save(1, {}, {"a": {"b": value}})


def test_a_number_that_cannot_be_read_back_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="JSON"):
        Store(tmp_path).save(1, {}, {"a": 10**5000})


def test_values_nested_without_end_are_refused(tmp_path: Path) -> None:
    deep: list[Plain] = []
    deep.append(deep)
    with pytest.raises(CheckpointError, match="deep"):
        Store(tmp_path).save(1, {}, {"a": deep})

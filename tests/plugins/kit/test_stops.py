"""Places at which gradients end are named; those that are declared are not."""

import inspect
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mmx.parts.gradient import constant
from mmx_kit.stops import told_cuts

HERE = Path(__file__).name


def detached(x: Tensor) -> Tensor:
    return x * x.detach()


def data(x: Tensor) -> Tensor:
    return x * x.data


def plain_number(x: Tensor) -> Tensor:
    return x * x[0].item()


def in_no_grad(x: Tensor) -> Tensor:
    with torch.no_grad():
        weight = torch.cat([x, x]).sum()
    return x * weight


@pytest.mark.parametrize(
    ("run", "line", "what"),
    [(detached, 1, "detach"), (data, 1, ".data"), (plain_number, 1, "item"), (in_no_grad, 2, "no_grad")],
)
def test_the_line_and_what_it_does_are_told(run: Callable[[Tensor], Tensor], line: int, what: str) -> None:
    x = torch.ones(3, requires_grad=True)
    told = told_cuts(lambda: run(x))
    assert f"{HERE}:{inspect.getsourcelines(run)[1] + line} ({what})" in told
    assert "mmx.parts.gradient.constant" in told


def test_what_has_no_gradient_or_is_declared_is_not_told() -> None:
    x, other = torch.ones(3, requires_grad=True), torch.ones(3)
    assert told_cuts(lambda: x * other.detach() * constant(x)) == ""

import pytest
import torch

from mmx.parts.gradient import constant
from mmx_kit.check import BrokenError
from mmx_kit.slopes import check_elements, check_slopes


def leaf() -> torch.Tensor:
    return torch.linspace(0.5, 1.5, 6, dtype=torch.float64).requires_grad_()


def test_a_right_gradient_passes_and_is_returned() -> None:
    x, unused = leaf(), leaf()
    found = check_slopes(lambda: {"y": x.square()}, {"x": x, "unused": unused})
    assert found["x"] is not None and found["x"].shape == (6,)
    assert found["unused"] is None
    assert torch.equal(x, leaf())


def test_a_gradient_that_lacks_a_part_is_named() -> None:
    x = leaf()
    with pytest.raises(BrokenError, match="the gradient by 'x' has the slope"):
        check_slopes(lambda: {"y": x * x.detach()}, {"x": x})


def test_what_is_declared_is_held_constant() -> None:
    x = leaf()
    assert check_slopes(lambda: {"y": x * constant(x)}, {"x": x})["x"] is not None
    check_elements(lambda: {"y": x * constant(x)}, {"x": x})


def test_single_precision_inside_is_noticed() -> None:
    x = leaf()
    with pytest.raises(BrokenError):
        check_slopes(lambda: {"y": x.float().sin().double()}, {"x": x})


def test_every_element_is_differentiated() -> None:
    x = leaf()
    check_elements(lambda: {"y": x.square()}, {"x": x})
    assert torch.equal(x, leaf())
    with pytest.raises(BrokenError, match="gradcheck of x in fp64: Jacobian mismatch"):
        check_elements(lambda: {"y": torch.cat([x[:5].square(), x[5:] * x[5:].detach()])}, {"x": x})

"""What no gradient flows through on purpose."""

from jaxtyping import Shaped
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_unary


def constant(value: Shaped[Tensor, "..."]) -> Shaped[Tensor, "..."]:
    """Return ``value.detach()``, and say that this is meant: the target of SimSiam, a weight, a row for a queue.

    The conformance kit compares gradients with finite differences of the plain forward, in which a ``detach`` does
    not show. Only what goes through this function is held constant there.
    """
    if has_torch_function_unary(value):  # the kit asks to be called instead
        return handle_torch_function(constant, (value,), value)
    return value.detach()

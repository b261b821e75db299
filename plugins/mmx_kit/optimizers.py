"""Optimizers: each group's rate is heeded, state goes with its parameter, and a step after resuming is the same."""

from typing import Any, Final, cast

import torch
from torch import Tensor, nn

from mmx.config import OptimizerConfig
from mmx.learn.optim import optimizer_state, restore_optimizer
from mmx.parts.optimizer import Optimizer
from mmx_kit.case import Case
from mmx_kit.check import BrokenError, Check, NotApplicableError
from mmx_kit.compare import finite, same

_KIND: Final = ("optimizer",)
_LR: Final = 0.01
_HALF: Final = 3
"""Rows of the matrix that is cut in two."""


class _Weights(nn.Module):
    """A matrix, a vector, and a parameter that no loss reaches."""

    def __init__(self) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(0)
        self.matrix = nn.Parameter(torch.randn(2 * _HALF, 4, generator=draw))
        self.vector = nn.Parameter(torch.randn(4, generator=draw))
        self.idle = nn.Parameter(torch.randn(2, 2, generator=draw))


def steps(made: torch.optim.Optimizer, weights: nn.Module, first: int, last: int) -> None:
    """Take steps ``first`` to ``last``, excluded; the gradients of a step are always the same."""
    for step in range(first, last):
        draw = torch.Generator().manual_seed(step)
        for name, parameter in weights.named_parameters():
            if name != "idle":
                parameter.grad = torch.randn(parameter.shape, generator=draw)
        made.step()
        made.zero_grad()


def whole(case: Case) -> tuple[_Weights, torch.optim.Optimizer]:
    """Return parameters and their optimizer, in groups as the core makes them."""
    weights = _Weights()
    return weights, _over(case, [_group(weights.matrix, weights.idle, decay=0.1), _group(weights.vector)])


def _over(case: Case, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    made = cast(object, cast(Optimizer, case.build()).over(groups))
    if not isinstance(made, torch.optim.Optimizer):
        raise BrokenError(f"over(groups) returns {type(made).__name__}; expected a torch.optim.Optimizer")
    return made


def _group(*members: nn.Parameter, lr: float = _LR, decay: float = 0.0) -> dict[str, Any]:
    return {"params": list(members), "lr": lr, "weight_decay": decay}


def _values(weights: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in weights.state_dict().items()}


def _moves(case: Case) -> None:
    weights, made = whole(case)
    before = _values(weights)
    steps(made, weights, 0, 3)
    after = _values(weights)
    finite("after three steps: its parameters", after)
    same("without a gradient it changes a parameter", {"idle": after["idle"]}, {"idle": before["idle"]})
    still = [name for name in ("matrix", "vector") if after[name].equal(before[name])]
    if still:
        raise BrokenError(f"three steps with a gradient leave a parameter as it was: {still[0]}")


def _rates(case: Case) -> None:
    weights = _Weights()
    made = _over(case, [_group(weights.matrix, lr=0.0), _group(weights.vector)])
    before = _values(weights)
    steps(made, weights, 0, 2)
    same("a group with lr = 0 moves", {"matrix": weights.matrix.detach()}, {"matrix": before["matrix"]})
    for group in made.param_groups:
        group["lr"] = 0.0
    before = _values(weights)
    steps(made, weights, 2, 4)
    same("after its group's lr was set to 0, as a schedule sets it, a parameter moves", _values(weights), before)


def _resumes(case: Case) -> None:
    unbroken, made = whole(case)
    steps(made, unbroken, 0, 6)
    first, made = whole(case)
    steps(made, first, 0, 3)
    tensors, _ = optimizer_state(first, made)
    second, made = whole(case)
    second.load_state_dict(_values(first))
    restore_optimizer(second, made, {name: value.clone() for name, value in tensors.items()})
    steps(made, second, 3, 6)
    same(
        "three steps after resuming differ from those of an unbroken run: the weights",
        _values(second),
        _values(unbroken),
    )


def _state(case: Case) -> None:
    weights, made = whole(case)
    steps(made, weights, 0, 1)
    sizes = cast(OptimizerConfig, case.config).kept()
    for name, parameter in weights.named_parameters():
        state: dict[str, object] = made.state.get(parameter, {})
        for key, value in state.items():
            if not isinstance(value, Tensor) or value.shape not in (parameter.shape, ()):
                raise BrokenError(
                    f"state of {name}: '{key}' is not a tensor of its shape or a single number as a tensor"
                )
        count = sum(cast(Tensor, value).shape == parameter.shape for value in state.values())
        if count != (sizes if name != "idle" else 0):
            raise BrokenError(
                f"it keeps {count} tensors of the shape of {name}, kept() of its options says {sizes}"
                if name != "idle"
                else "it keeps state of a parameter that never had a gradient"
            )


def _elementwise(case: Case) -> None:
    if not cast(OptimizerConfig, case.config).elementwise:
        raise NotApplicableError("its options do not say elementwise = True, so engines give it whole tensors alone")
    weights, made = whole(case)
    steps(made, weights, 0, 3)
    halves = [nn.Parameter(part.clone()) for part in _Weights().matrix.detach().split(_HALF)]
    cut = _over(case, [_group(*halves, decay=0.1)])
    for step in range(3):
        gradient = torch.randn(2 * _HALF, 4, generator=torch.Generator().manual_seed(step))
        for half, part in zip(halves, gradient.split(_HALF), strict=True):
            half.grad = part.clone()
        cut.step()
    joined, expected = torch.cat([half.detach() for half in halves]), weights.matrix.detach()
    what = "its options say elementwise, but the halves of a matrix come to other numbers than the whole"
    same(what, {"matrix": joined}, {"matrix": expected}, 1e-6)


def _groups(case: Case) -> None:
    weights, made = whole(case)
    steps(made, weights, 0, 3)
    again = _Weights()
    members = [[again.matrix, again.idle], [again.vector]]
    groups = [{**group, "params": own} for group, own in zip(made.param_groups, members, strict=True)]
    try:
        remade = cast(Any, type(made))(groups)
    except TypeError as error:
        raise BrokenError(f"{type(made).__name__}(groups) fails: {error}; an engine makes a second one so") from error
    steps(remade, again, 0, 3)
    same(
        f"{type(made).__name__}(groups), with options from the groups, takes other steps",
        _values(again),
        _values(weights),
    )


OPTIMIZER_CHECKS: Final = (
    Check("updates", "what has a gradient moves, and nothing else does", _KIND, _moves),
    Check("rates", "each group moves at its own rate, also where that changes", _KIND, _rates),
    Check("resumed steps", "after going on from its state it takes the same steps, bit for bit", _KIND, _resumes),
    Check("state of parameters", "it keeps tensors by parameter, as many as kept() says", _KIND, _state),
    Check("elementwise", "where its options say so, a tensor may be cut in pieces", _KIND, _elementwise),
    Check("options in groups", "another one can be made from its groups alone", _KIND, _groups),
)

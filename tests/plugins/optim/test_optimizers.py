"""Each optimizer against its paper's formulas, written out for lists of numbers in fp64; and going on from a checkpoint."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from mmx.config import OptimizerConfig
from mmx.learn.groups import parameter_groups
from mmx.learn.optim import optimizer_state, restore_optimizer, set_rate
from mmx.parts.optimizer import Optimizer
from mmx_optim.configs import AdamWConfig, LambConfig, LionConfig, SgdConfig
from mmx_optim.optimizers import AdamW, Lamb, Lion, Sgd

STEPS = 15
Numbers = list[float]
Formula = Callable[[Numbers, Numbers, dict[str, Any], float, float, bool], Numbers]


def adamw(x: Numbers, g: Numbers, kept: dict[str, Any], lr: float, decay: float, matrix: bool) -> Numbers:
    b1, b2, eps, t = 0.9, 0.98, 1e-6, kept["t"]
    m = kept["m"] = [b1 * a + (1 - b1) * b for a, b in zip(kept["m"], g, strict=True)]
    v = kept["v"] = [b2 * a + (1 - b2) * b * b for a, b in zip(kept["v"], g, strict=True)]
    step = [(a / (1 - b1**t)) / (math.sqrt(b / (1 - b2**t)) + eps) for a, b in zip(m, v, strict=True)]
    return [a - lr * (s + decay * a) for a, s in zip(x, step, strict=True)]


def sgd(x: Numbers, g: Numbers, kept: dict[str, Any], lr: float, decay: float, matrix: bool) -> Numbers:
    g = [b + decay * a for a, b in zip(x, g, strict=True)]
    m = kept["m"] = [0.9 * a + b for a, b in zip(kept["m"], g, strict=True)]
    return [a - lr * (b + 0.9 * c) for a, b, c in zip(x, g, m, strict=True)]


def lamb(x: Numbers, g: Numbers, kept: dict[str, Any], lr: float, decay: float, matrix: bool) -> Numbers:
    b1, b2, eps, t = 0.9, 0.999, 1e-6, kept["t"]
    m = kept["m"] = [b1 * a + (1 - b1) * b for a, b in zip(kept["m"], g, strict=True)]
    v = kept["v"] = [b2 * a + (1 - b2) * b * b for a, b in zip(kept["v"], g, strict=True)]
    r = [(a / (1 - b1**t)) / (math.sqrt(b / (1 - b2**t)) + eps) for a, b in zip(m, v, strict=True)]
    u = [a + decay * b for a, b in zip(r, x, strict=True)]
    ratio = math.hypot(*x) / math.hypot(*u) if matrix and math.hypot(*x) and math.hypot(*u) else 1.0
    return [a - lr * ratio * b for a, b in zip(x, u, strict=True)]


def lion(x: Numbers, g: Numbers, kept: dict[str, Any], lr: float, decay: float, matrix: bool) -> Numbers:
    b1, b2 = 0.9, 0.99
    mixed = [b1 * a + (1 - b1) * b for a, b in zip(kept["m"], g, strict=True)]
    kept["m"] = [b2 * a + (1 - b2) * b for a, b in zip(kept["m"], g, strict=True)]
    return [a - lr * ((c > 0) - (c < 0) + decay * a) for a, c in zip(x, mixed, strict=True)]


KINDS: dict[str, tuple[Callable[[Any], Optimizer], OptimizerConfig, Formula]] = {
    "adamw": (AdamW, AdamWConfig(name="adamw", lr=0.02, weight_decay=0.1), adamw),
    "sgd": (Sgd, SgdConfig(name="sgd", lr=0.02, weight_decay=0.1, nesterov=True), sgd),
    "lamb": (Lamb, LambConfig(name="lamb", lr=0.02, weight_decay=0.1), lamb),
    "lion": (Lion, LionConfig(name="lion", lr=0.02, weight_decay=0.1), lion),
}


def net(dtype: torch.dtype = torch.float64) -> nn.Sequential:
    """Return a matrix, a bias, a gain that is 0 at the start, and a matrix of zeros."""
    torch.manual_seed(0)
    last = nn.Linear(4, 3)
    nn.init.zeros_(last.weight)
    return nn.Sequential(nn.Linear(5, 4), nn.LayerNorm(4), last).to(dtype)


def gradients(module: nn.Module, step: int) -> list[torch.Tensor]:
    draw = torch.Generator().manual_seed(step)
    return [torch.randn(p.shape, generator=draw, dtype=torch.float64).to(p.dtype) for p in module.parameters()]


def made(name: str, module: nn.Module) -> torch.optim.Optimizer:
    make, config, _ = KINDS[name]
    return make(config).over(parameter_groups(module, config))


def take(module: nn.Module, optimizer: torch.optim.Optimizer, first: int, last: int) -> None:
    for step in range(first, last):
        for parameter, gradient in zip(module.parameters(), gradients(module, step), strict=True):
            parameter.grad = gradient
        set_rate(optimizer, 0.02 / (step + 1))
        optimizer.step()


@pytest.mark.parametrize("name", KINDS)
def test_takes_the_steps_of_its_paper(name: str) -> None:
    module, (_, config, formula) = net(), KINDS[name]
    expected = [p.detach().flatten().tolist() for p in module.parameters()]
    kept: list[dict[str, Any]] = [{"m": [0.0] * len(x), "v": [0.0] * len(x), "t": 0} for x in expected]
    optimizer = made(name, module)
    for step in range(STEPS):
        take(module, optimizer, step, step + 1)
        for index, (p, g) in enumerate(zip(module.parameters(), gradients(module, step), strict=True)):
            kept[index]["t"] += 1
            decay = config.weight_decay if p.ndim >= 2 else 0.0
            arguments = (expected[index], g.flatten().tolist(), kept[index], 0.02 / (step + 1), decay, p.ndim >= 2)
            expected[index] = formula(*arguments)
        for p, numbers in zip(module.parameters(), expected, strict=True):
            torch.testing.assert_close(p.flatten(), torch.tensor(numbers, dtype=torch.float64), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", KINDS)
def test_goes_on_from_its_state_bit_for_bit(name: str) -> None:
    unbroken, first = net(torch.float32), net(torch.float32)
    take(unbroken, made(name, unbroken), 0, 6)
    before = made(name, first)
    take(first, before, 0, 3)
    tensors, _ = optimizer_state(first, before)
    second = net(torch.float32)
    second.load_state_dict(first.state_dict())
    after = made(name, second)
    restore_optimizer(second, after, {key: value.clone() for key, value in tensors.items()})
    take(second, after, 3, 6)
    for key, value in unbroken.state_dict().items():
        assert torch.equal(second.state_dict()[key], value), key


def test_a_lamb_step_does_not_depend_on_the_size_of_the_gradient() -> None:
    moved: list[torch.Tensor] = []
    for factor in (1.0, 1000.0):
        weight = next(net().parameters())
        before = weight.detach().clone()
        groups = [{"params": [weight], "lr": 0.1, "weight_decay": 0.0}]
        optimizer = Lamb(LambConfig(name="lamb", eps=1e-12)).over(groups)
        weight.grad = factor * gradients(net(), 0)[0]
        optimizer.step()
        moved.append(weight.detach() - before)
        assert float(moved[-1].norm()) == pytest.approx(0.1 * float(before.norm()))
    torch.testing.assert_close(moved[0], moved[1])

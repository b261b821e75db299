import math

import pytest
import torch
from torch import nn

from mmx.errors import CheckpointError
from mmx.learn.optim import Schedule, adamw, groups, optimizer_state, restore_optimizer


def test_rises_in_the_warmup_and_falls_to_the_lowest_rate() -> None:
    schedule = Schedule(lr=1.0, min_lr=0.1, warmup=10, steps=110, shape="cosine")
    assert [schedule.at(step) for step in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert schedule.at(10) == pytest.approx(1.0)
    assert schedule.at(60) == pytest.approx(0.55)
    assert schedule.at(110) == pytest.approx(0.1)
    assert schedule.at(35) == pytest.approx(0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi / 4)))


def test_the_other_shapes() -> None:
    linear = Schedule(lr=2.0, min_lr=0.0, warmup=0, steps=4, shape="linear")
    assert [linear.at(step) for step in range(4)] == pytest.approx([2.0, 1.5, 1.0, 0.5])
    constant = Schedule(lr=2.0, min_lr=0.0, warmup=2, steps=4, shape="constant")
    assert [constant.at(step) for step in range(4)] == pytest.approx([1.0, 2.0, 2.0, 2.0])


def module() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))


def test_gains_and_biases_do_not_decay_and_frozen_parameters_are_left_out() -> None:
    net = module()
    net[2].requires_grad_(False)
    decayed, plain = groups(net, 0.3)
    assert [p.shape for p in decayed["params"]] == [(4, 3)] and decayed["weight_decay"] == 0.3
    assert len(plain["params"]) == 3 and plain["weight_decay"] == 0.0


def step(net: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    net(torch.ones(2, 3)).square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()


def test_the_state_goes_back_by_name_and_the_next_step_is_the_same() -> None:
    nets = [module(), module()]
    first, second = (adamw(net, 0.01, (0.9, 0.98), 1e-6, 0.1) for net in nets)
    step(nets[0], first)
    tensors, values = optimizer_state(nets[0], first)
    assert "0.weight/exp_avg" in tensors and values == {"optimizer": "AdamW"}
    nets[1].load_state_dict(nets[0].state_dict())
    restore_optimizer(nets[1], second, tensors)
    for net, optimizer in zip(nets, (first, second), strict=True):
        step(net, optimizer)
    assert all(torch.equal(a, b) for a, b in zip(nets[0].parameters(), nets[1].parameters(), strict=True))


def test_state_of_other_parameters_is_refused_by_name() -> None:
    net, other = module(), module()
    optimizer = adamw(net, 0.01, (0.9, 0.98), 1e-6, 0.1)
    step(net, optimizer)
    other[2].requires_grad_(False)
    with pytest.raises(CheckpointError, match=r"2\.bias"):
        restore_optimizer(other, adamw(other, 0.01, (0.9, 0.98), 1e-6, 0.1), optimizer_state(net, optimizer)[0])

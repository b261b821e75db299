import pytest
import torch
from torch import nn

from mmx.config import OptimizerConfig
from mmx.errors import CheckpointError
from mmx.learn.groups import parameter_groups
from mmx.learn.optim import optimizer_state, restore_optimizer, set_rate

OPTIM = OptimizerConfig(name="adamw", lr=0.01, weight_decay=0.3)


def module() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))


def adamw(net: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameter_groups(net, OPTIM))


def step(net: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    net(torch.ones(2, 3)).square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()


def test_a_rate_reaches_every_group_in_proportion() -> None:
    net = module()
    optimizer = torch.optim.SGD(
        [{"params": net[0].parameters(), "scale": 1.0}, {"params": net[2].parameters(), "scale": 0.5}]
    )
    set_rate(optimizer, 0.2)
    assert [(group["lr"], group["rate"]) for group in optimizer.param_groups] == [(0.2, 0.2), (0.1, 0.2)]


def test_the_state_goes_back_by_name_and_the_next_step_is_the_same() -> None:
    nets = [module(), module()]
    first, second = (adamw(net) for net in nets)
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
    optimizer = adamw(net)
    step(net, optimizer)
    other[2].requires_grad_(False)
    with pytest.raises(CheckpointError, match=r"2\.bias"):
        restore_optimizer(other, adamw(other), optimizer_state(net, optimizer)[0])

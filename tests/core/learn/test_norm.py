"""BatchNorm over the rows of all ranks is BatchNorm over the whole batch."""

import copy
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from mmx.learn.norm import GroupBatchNorm, group_batch_norms, shield_batch_norms
from mmx.parts.group import SoloGroup
from mmx_kit.layouts import world
from mmx_kit.ranks import Ranks


def layers(momentum: float | None, affine: bool) -> nn.Sequential:
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(3, momentum=momentum, affine=affine)
    return nn.Sequential(nn.Conv2d(2, 3, 3), norm, nn.Conv2d(3, 1, 3)).double().train()


def outputs(module: nn.Module, rows: Tensor, ranks: int) -> dict[str, Any]:
    """Two steps of statistics; the gradient of the mean over ranks of their losses."""
    for _ in range(2):
        module.zero_grad()
        loss = (module(rows) ** 3).mean()
        loss.backward()
    found = {name: value.numpy().copy() for name, value in module.state_dict().items()}
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None
        if ranks > 1:
            dist.all_reduce(parameter.grad)
        found[f"{name}.grad"] = (parameter.grad / ranks).numpy().copy()
    return found


def on_ranks(momentum: float | None, affine: bool) -> dict[str, Any]:
    module, group = layers(momentum, affine), world()
    group_batch_norms(module, group)
    assert isinstance(module[1], GroupBatchNorm)
    return outputs(module, pixels().chunk(group.size)[group.rank], group.size)


def pixels() -> Tensor:
    return torch.randn(6, 2, 7, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64) + 3


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize("affine", [True, False])
def test_two_ranks_normalise_as_one_process_does(momentum: float | None, affine: bool, pair: Ranks) -> None:
    expected = outputs(layers(momentum, affine), pixels(), 1)
    for found in pair(on_ranks, momentum, affine):
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert found[name] == pytest.approx(value, rel=1e-10, abs=1e-12), name


def test_the_control_differs(pair: Ranks) -> None:
    """Without a group, each rank sees its own rows: another variance."""
    halves = [outputs(layers(0.1, True), half, 1)["1.running_var"] for half in pixels().chunk(2)]
    whole = outputs(layers(0.1, True), pixels(), 1)["1.running_var"]
    assert abs(sum(halves) / 2 - whole).max() > 1e-4


def test_one_that_is_frozen_stays_so_and_computes_what_it_did() -> None:
    module = layers(0.1, True)
    outputs(module, pixels(), 1)
    module[1].eval()
    expected, names = copy.deepcopy(module), list(module.state_dict())
    group_batch_norms(module, SoloGroup())
    assert isinstance(module[1], nn.BatchNorm2d)
    shield_batch_norms(module)
    module.train()
    assert isinstance(module[1], GroupBatchNorm) and not module[1].training
    assert list(module.state_dict()) == names
    torch.testing.assert_close(module(pixels()), expected(pixels()))


def test_it_stays_in_full_precision() -> None:
    module = layers(0.1, True).float()
    shield_batch_norms(module)
    module.to(torch.bfloat16)
    assert module[0].weight.dtype == torch.bfloat16
    assert {value.dtype for value in module[1].state_dict().values()} == {torch.float32, torch.int64}
    assert module(pixels().bfloat16()).dtype == torch.bfloat16

"""The optimizer against its formula, for one number."""

import pytest
import torch

from mmx_scaffold.templates.optimizer.config import ThisPartConfig
from mmx_scaffold.templates.optimizer.optimizer import ThisPart


def test_formula() -> None:
    parameter = torch.nn.Parameter(torch.tensor([[2.0]], dtype=torch.float64))
    groups = [{"params": [parameter], "lr": 0.1, "weight_decay": 0.5}]
    config = ThisPartConfig(name="part", eps=1e-3)
    optimizer = ThisPart(config).over(groups)
    expected, total = 2.0, 0.0
    for gradient in (3.0, -1.0, 0.5, 4.0):
        parameter.grad = torch.tensor([[gradient]], dtype=torch.float64)
        optimizer.step()
        total += gradient**2
        expected -= 0.1 * (gradient / (total**0.5 + 1e-3) + 0.5 * expected)
        assert parameter.item() == pytest.approx(expected, rel=1e-12)

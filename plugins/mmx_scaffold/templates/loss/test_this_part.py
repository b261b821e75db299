"""The loss against its formula, written out pair by pair."""

import math

import pytest
import torch

from mmx_scaffold.templates.loss.loss import sigmoid_loss


def by_hand(logits: list[list[float]], offset: int) -> float:
    total = 0.0
    for i, row in enumerate(logits):
        for j, logit in enumerate(row):
            z = 1 if j == offset + i else -1
            total += math.log(1 + math.exp(-z * logit))
    return total / len(logits)


@pytest.mark.parametrize("offset", [0, 2])
def test_formula(offset: int) -> None:
    logits = torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert float(sigmoid_loss(logits, offset)) == pytest.approx(by_hand(logits.tolist(), offset), rel=1e-12)


def test_right_pairs_cost_least() -> None:
    right = 20 * torch.eye(4) - 10
    assert float(sigmoid_loss(right, 0)) < 0.01 < float(sigmoid_loss(right.flip(0), 0))

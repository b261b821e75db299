"""Recall against its formula, by sorting each row."""

import pytest
import torch

from mmx.errors import RecipeError
from mmx_scaffold.templates.evaluator.config import ThisPartConfig
from mmx_scaffold.templates.evaluator.evaluator import ThisPart, recall


def by_hand(similarity: list[list[float]], k: int) -> float:
    found = [sorted(row, reverse=True).index(row[i]) < k for i, row in enumerate(similarity)]
    return sum(found) / len(found)


@pytest.mark.parametrize("k", [1, 3, 9])
def test_formula(k: int) -> None:
    similarity = torch.randn(9, 9, generator=torch.Generator().manual_seed(0)) + torch.eye(9)
    assert recall(similarity, k) == pytest.approx(by_hand(similarity.tolist(), k))


def test_equal_captions_are_both_right() -> None:
    assert recall(torch.tensor([[0.9, 0.9], [0.9, 0.9]]), 1) == 1.0


def test_it_needs_a_dataset() -> None:
    with pytest.raises(RecipeError, match="needs a dataset"):
        ThisPart(ThisPartConfig(name="part"), None)

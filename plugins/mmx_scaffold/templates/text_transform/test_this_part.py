"""The deletion against its rule, written out word by word."""

import pytest
import torch

from mmx_scaffold.templates.text_transform.transform import kept

WORDS = ["a", "small", "red", "house", "by", "the", "sea"]


@pytest.mark.parametrize("drop", [0.0, 0.3, 0.6])
def test_rule(drop: float) -> None:
    numbers = torch.rand(len(WORDS), generator=torch.Generator().manual_seed(1)).tolist()
    expected = [WORDS[i] for i in range(len(WORDS)) if numbers[i] >= drop]
    assert expected and kept(WORDS, numbers, drop) == expected


def test_one_word_always_stays() -> None:
    assert kept(["red", "house"], [0.2, 0.7], 1.0) == ["house"]

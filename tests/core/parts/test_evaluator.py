"""Shares of samples: together all, each once; gathered in order whatever their lengths."""

from typing import cast

import pytest
import torch

from mmx.learn.model import Model
from mmx.parts.evaluator import EvalModel
from mmx.parts.group import Group, TorchGroup
from mmx.parts.tokenizer import Tokenizer
from mmx.parts.transform import Preprocess
from mmx_kit.layouts import world
from mmx_kit.ranks import Ranks


def subject(group: Group | None) -> EvalModel:
    return EvalModel(cast(Model, None), cast(Tokenizer, None), cast(Preprocess, None), group)


def gathered(count: int) -> list[int]:
    group = world()
    assert isinstance(group, TorchGroup)
    one = subject(group)
    return one.gather(torch.tensor(list(one.share(count)), dtype=torch.int64)).tolist()


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_every_rank_gets_all_rows_in_order(count: int, pair: Ranks) -> None:
    assert pair(gathered, count) == [list(range(count))] * 2


def test_alone_everything_is_here() -> None:
    rows = torch.rand(3, 2)
    assert subject(None).gather(rows) is rows and list(subject(None).share(3)) == [0, 1, 2]

"""Slices of tensors: what ranks hold comes together again."""

import pytest
import torch

from mmx_colossalai.shards import Slice
from mmx_colossalai.stages import spans


@pytest.mark.parametrize("size", [1, 2, 4])
@pytest.mark.parametrize(("shape", "dim", "fused"), [((24, 5), 0, 3), ((24,), 0, 3), ((8, 12), 1, 1), ((8, 12), 0, 1)])
def test_the_parts_of_all_ranks_are_the_whole(shape: tuple[int, ...], dim: int, fused: int, size: int) -> None:
    whole = torch.arange(torch.Size(shape).numel()).view(shape)
    cut = Slice(dim, fused)
    parts = [cut.of(whole, rank, size) for rank in range(size)]
    assert all(part.shape[dim] == shape[dim] // size for part in parts)
    assert torch.equal(cut.joined(parts), whole)


def test_each_rank_has_its_heads_of_queries_keys_and_values() -> None:
    qkv = torch.tensor([[10], [11], [20], [21], [30], [31]])
    assert Slice(0, 3).of(qkv, 1, 2).flatten().tolist() == [11, 21, 31]


@pytest.mark.parametrize(("blocks", "stages"), [(12, 4), (3, 2), (5, 3), (2, 2)])
def test_every_block_has_one_stage_and_every_stage_a_block(blocks: int, stages: int) -> None:
    found = spans(blocks, stages)
    assert [index for span in found for index in span] == list(range(blocks))
    assert min(map(len, found)) >= 1 and max(map(len, found)) - min(map(len, found)) <= 1

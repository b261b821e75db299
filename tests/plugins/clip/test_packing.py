"""Tokens without padding."""

import torch

from mmx_clip.packing import pack


def test_packing_and_unpacking_move_tokens_and_their_gradients() -> None:
    lengths = torch.tensor([2, 3, 1])
    real = pack(lengths)
    assert (real.rows, real.longest, real.places.tolist()) == (3, 3, [0, 1, 3, 4, 5, 6])
    assert real.starts.tolist() == [0, 2, 5]
    x = torch.arange(18.0).view(3, 3, 2).requires_grad_()
    packed = real.pack(x)
    assert packed.tolist() == x.flatten(0, 1)[real.places].tolist()
    whole = real.unpack(packed)
    kept = torch.arange(3) < lengths[:, None]
    assert torch.equal(whole, x * kept[..., None])
    (whole * 5).sum().backward()
    assert x.grad is not None and torch.equal(x.grad, 5 * kept[..., None].expand(-1, -1, 2).float())


def test_a_packing_is_as_long_as_the_longest_text_only() -> None:
    assert pack(torch.tensor([1, 4])).longest == 4
    assert pack(torch.tensor([3, 3])).places.tolist() == list(range(6))

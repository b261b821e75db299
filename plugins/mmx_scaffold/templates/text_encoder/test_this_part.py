"""The tower against its formula, written out token by token."""

import torch
from torch import Tensor
from torch.nn import functional

from mmx.parts.batch import Words
from mmx.parts.sizes import Sizes
from mmx_scaffold.templates.text_encoder.config import ThisPartConfig
from mmx_scaffold.templates.text_encoder.encoder import ThisPart

SIZES = Sizes(image=32, vocabulary=128, context=6, pad=0, start=1, end=2)


def tower() -> ThisPart:
    torch.manual_seed(0)
    return ThisPart(ThisPartConfig(name="part").tiny(), SIZES)


def by_hand(encoder: ThisPart, ids: list[int]) -> Tensor:
    found: list[Tensor] = []
    for token in ids:
        x = encoder.embed.weight[token]
        hidden = functional.gelu(encoder.mlp.rise.weight @ x + encoder.mlp.rise.bias)
        found.append(x + encoder.mlp.fall.weight @ hidden + encoder.mlp.fall.bias)
    return torch.stack(found).mean(dim=0)


def test_formula() -> None:
    encoder = tower()
    ids = torch.tensor([[1, 7, 9, 2, 0, 0], [1, 5, 5, 5, 5, 2]])
    pooled = encoder(Words(ids, ids != 0)).pooled
    torch.testing.assert_close(pooled[0], by_hand(encoder, [1, 7, 9, 2]))
    torch.testing.assert_close(pooled[1], by_hand(encoder, [1, 5, 5, 5, 5, 2]))


def test_padding_does_not_matter() -> None:
    encoder = tower()
    mask = torch.tensor([[True, True, True, False, False, False]])
    first, second = torch.tensor([[1, 7, 2, 0, 0, 0]]), torch.tensor([[1, 7, 2, 99, 98, 97]])
    torch.testing.assert_close(encoder(Words(first, mask)).pooled, encoder(Words(second, mask)).pooled)

"""What the towers promise beyond their golden values."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from mmx.errors import RecipeError
from mmx.parts.batch import Encoded, Pixels, Words
from mmx.parts.sizes import Sizes
from mmx_clip.blocks import Block
from mmx_clip.configs import ModifiedResNetConfig, TextTransformerConfig, VitConfig
from mmx_clip.resnet import ModifiedResNet, Residual
from mmx_clip.text import TextTransformer
from mmx_clip.vit import Vit

SIZES = Sizes(image=32, vocabulary=64, context=8, pad=0, start=62, end=63)
VIT = VitConfig(name="vit", patch=8, width=32, layers=2, heads=2)
TEXT = TextTransformerConfig(name="transformer", width=32, layers=2, heads=2)


def words(*rows: list[int]) -> Words:
    ids = torch.tensor([row + [0] * (8 - len(row)) for row in rows])
    return Words(ids, torch.arange(8) < torch.tensor([len(row) for row in rows])[:, None])


def test_vit_tokens_are_the_class_token_and_every_patch() -> None:
    out = Vit(VIT, SIZES)(Pixels(torch.randn(2, 3, 32, 32)))
    assert out.tokens is not None and out.tokens.shape == (2, 17, 32)
    assert torch.equal(out.pooled, out.tokens[:, 0])


def test_vit_reads_each_patch_row_by_row() -> None:
    tower = Vit(VIT, SIZES)
    pixels = torch.zeros(1, 3, 32, 32)
    pixels[:, :, 8:16, 16:24] = 1.0  # second row, third column: patch 1 * 4 + 2, behind the class token
    changed = (tower.patches(pixels) - tower.patches(torch.zeros_like(pixels))).abs().sum(dim=2)[0]
    assert changed.nonzero().flatten().tolist() == [1 + 4 + 2]


def test_patch_dropout_keeps_the_class_token_and_its_share_in_training_only() -> None:
    tower = Vit(VIT.model_copy(update={"patch_dropout": 0.5}), SIZES)
    view = Pixels(torch.randn(2, 3, 32, 32))
    out = tower.train()(view)
    assert out.tokens is not None and out.tokens.shape[1] == 1 + 8
    kept = tower.patches(view.pixels)
    tower.eval()
    whole = tower.patches(view.pixels)
    assert torch.equal(kept[:, 0], whole[:, 0])
    for row in range(2):
        rows = {tuple(token.tolist()) for token in whole[row, 1:]}
        assert all(tuple(token.tolist()) in rows for token in kept[row, 1:])
        assert len({tuple(token.tolist()) for token in kept[row, 1:]}) == 8


def test_vit_without_pre_norm_has_no_such_parameters() -> None:
    tower = Vit(VIT.model_copy(update={"pre_norm": False}), SIZES)
    assert not any(name.startswith("patches.norm") for name, _ in tower.named_parameters())


def test_vit_refuses_what_it_cannot_read() -> None:
    with pytest.raises(RecipeError, match="patch = 7 does not divide the image size 32"):
        Vit(VIT.model_copy(update={"patch": 7}), SIZES)
    hidden = Pixels(torch.randn(1, 3, 32, 32), torch.ones(1, 16, dtype=torch.bool))
    with pytest.raises(RecipeError, match="no mask token"):
        Vit(VIT, SIZES)(hidden)


def test_text_is_pooled_at_the_first_end_whatever_stands_behind() -> None:
    tower = TextTransformer(TEXT, SIZES).eval()
    out = tower(words([62, 5, 6, 63]))
    assert out.tokens is not None
    assert torch.equal(out.pooled[0], out.tokens[0, 3])
    other = Words(torch.tensor([[62, 5, 6, 63, 63, 63, 9, 1]]), torch.ones(1, 8, dtype=torch.bool))
    torch.testing.assert_close(tower(other).pooled, out.pooled)


def test_text_is_causal_and_reads_a_real_token_with_the_id_of_padding() -> None:
    tower = TextTransformer(TEXT, SIZES).eval()
    one, two = tower(words([62, 5, 6, 63])), tower(words([62, 5, 7, 63]))
    assert one.tokens is not None and two.tokens is not None
    torch.testing.assert_close(one.tokens[:, :2], two.tokens[:, :2])
    assert not torch.allclose(tower(words([62, 5, 0, 63])).pooled, tower(words([62, 5, 63])).pooled)


def test_text_may_be_shorter_than_the_context() -> None:
    tower = TextTransformer(TEXT, SIZES).eval()
    full = words([62, 5, 6, 63])
    torch.testing.assert_close(tower(Words(full.ids[:, :5], full.mask[:, :5])).pooled, tower(full).pooled)


def test_text_refuses_an_image_to_read() -> None:
    with pytest.raises(RecipeError, match="reads text alone"):
        TextTransformer(TEXT, SIZES)(words([62, 63]), Encoded(torch.zeros(1, 32)), "fuse")


CAPTIONS = [[62, 5, 6, 63], [62, 63], [62, 9, 8, 7, 6, 5, 4, 63], [62, 5, 0, 0, 63]]


def text(seed: int = 0, **options: Any) -> TextTransformer:
    torch.manual_seed(seed)
    return TextTransformer(TextTransformerConfig.model_validate({**TEXT.model_dump(), **options}), SIZES).double()


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("rows", [CAPTIONS, CAPTIONS[1:2], CAPTIONS[2:3]])
def test_skipping_padding_changes_neither_embedding_nor_any_gradient(
    rows: list[list[int]], checkpointing: bool
) -> None:
    towers = [text(padding=padding, checkpointing=checkpointing) for padding in ("skip", "compute")]
    found = [tower(words(*rows)) for tower in towers]
    torch.testing.assert_close(found[0].pooled, found[1].pooled)
    real = words(*rows).mask
    assert found[0].tokens is not None and found[1].tokens is not None
    torch.testing.assert_close(found[0].tokens, found[1].tokens * real[..., None])
    weights = torch.randn(found[0].pooled.shape, dtype=torch.float64)
    for encoded in found:
        (encoded.pooled * weights).sum().backward()
    for (name, ours), theirs in zip(towers[0].named_parameters(), towers[1].parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, msg=name)


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize(
    "options", [{}, {"padding": "compute"}, {"padding": "compute", "causal": False, "pool": "last"}]
)
def test_the_pooled_token_alone_has_the_same_embedding_and_gradients(
    options: dict[str, Any], checkpointing: bool
) -> None:
    towers = [text(tokens=tokens, checkpointing=checkpointing, **options) for tokens in ("pooled", "all")]
    seen: list[torch.Size] = []
    towers[0].layers[1].register_forward_hook(lambda block, inputs, output: seen.append(output.shape))
    given = words(*CAPTIONS)
    found = [tower(given) for tower in towers]
    assert found[0].tokens is None and set(seen) == {torch.Size([4, 32])}
    same_with_gradients(towers, [encoded.pooled for encoded in found])


@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_class_token_alone_has_the_same_embedding_and_gradients(checkpointing: bool) -> None:
    towers: list[Vit] = []
    for tokens in ("pooled", "all"):
        torch.manual_seed(0)
        towers.append(Vit(VIT.model_copy(update={"tokens": tokens, "checkpointing": checkpointing}), SIZES).double())
    view = Pixels(torch.randn(3, 3, 32, 32, dtype=torch.float64))
    found = [tower(view) for tower in towers]
    assert found[0].tokens is None and found[1].tokens is not None
    same_with_gradients(towers, [encoded.pooled for encoded in found])


def same_with_gradients(towers: Sequence[nn.Module], pooled: Sequence[Tensor]) -> None:
    torch.testing.assert_close(pooled[0], pooled[1])
    weights = torch.randn(pooled[0].shape, dtype=torch.float64)
    for value in pooled:
        (value * weights).sum().backward()
    for (name, ours), theirs in zip(towers[0].named_parameters(), towers[1].parameters(), strict=True):
        assert ours.grad is not None and ours.grad.abs().max() > 0, name
        torch.testing.assert_close(ours.grad, theirs.grad, msg=name)


def test_skipping_computes_only_the_real_tokens() -> None:
    tower, seen = text(), list[torch.Size]()
    tower.layers[0].register_forward_hook(lambda block, inputs, output: seen.append(output.shape))
    tower(words(*CAPTIONS))
    tower(words(CAPTIONS[2], CAPTIONS[2]))
    assert seen == [(4 + 2 + 8 + 5, 32), (2, 8, 32)]


def test_the_pooled_token_is_computed_also_where_the_mask_leaves_it_out() -> None:
    full = words([62, 5, 6, 63])
    hidden = Words(full.ids, torch.zeros_like(full.mask))
    torch.testing.assert_close(text()(hidden).pooled, text(padding="compute")(hidden).pooled)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"causal": False}, "causal = false reads the padding"),
        ({"pool": "last"}, 'pool = "last" pools the last position'),
    ],
)
def test_skipping_is_refused_where_padding_is_read(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=f'{why}.*set padding = "compute"'):
        text(**options)


def test_skipping_would_change_a_tower_that_is_not_causal() -> None:
    tower, full = text(causal=False, padding="compute"), words([62, 5, 6, 63])
    computed = tower(full).pooled
    tower.skip = True
    assert not torch.allclose(tower(full).pooled, computed, atol=1e-3)


def test_a_tower_that_is_not_causal_equals_torchs_own_encoder() -> None:
    tower = text(causal=False, pool="last", padding="compute", activation="gelu", layers=1)
    block = tower.layers[0]
    assert isinstance(block, Block)
    own = torch.nn.TransformerEncoderLayer(32, 2, 128, 0.0, "gelu", batch_first=True, norm_first=True).double()
    pairs = [(own.self_attn.out_proj, block.attention.out), (own.linear1, block.mlp.up), (own.linear2, block.mlp.down)]
    for theirs, ours in [*pairs, (own.norm1, block.norm_attention), (own.norm2, block.norm_mlp)]:
        theirs.load_state_dict(ours.state_dict())
    own.self_attn.in_proj_weight.data.copy_(block.attention.qkv.weight)
    own.self_attn.in_proj_bias.data.copy_(block.attention.qkv.bias)
    given = words(*CAPTIONS)
    expected = tower.norm(own(tower.tokens(given.ids)))
    found = tower(given)
    torch.testing.assert_close(found.tokens, expected)
    torch.testing.assert_close(found.pooled, expected[:, -1])


def test_text_starts_as_published() -> None:
    torch.manual_seed(0)
    config = TextTransformerConfig(name="transformer", width=256, layers=3, heads=4)
    state = TextTransformer(config, SIZES).state_dict()
    residual = 256**-0.5 * 6**-0.5
    expected = {
        "tokens.table.weight": 0.02,
        "tokens.position": 0.01,
        "layers.0.attention.qkv.weight": 256**-0.5,
        "layers.2.attention.out.weight": residual,
        "layers.1.mlp.up.weight": 512**-0.5,
        "layers.1.mlp.down.weight": residual,
    }
    for name, std in expected.items():
        assert state[name].std().item() == pytest.approx(std, rel=0.1), name


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
@pytest.mark.parametrize(("stem", "stem_stride"), [("clip", 4), ("clip", 1), ("single", 2)])
@pytest.mark.parametrize("pool", ["attention", "mean"])
def test_resnet_options_combine(block: str, stem: str, stem_stride: int, pool: str) -> None:
    options = {
        "block": block,
        "stem": stem,
        "stem_stride": stem_stride,
        "pool": pool,
        "width": 8,
        "heads": 2,
        "output": 12,
    }
    config = ModifiedResNetConfig.model_validate(
        {"name": "modified_resnet", **options, "blocks": [1, 2], "strides": [1, 2]}
    )
    tower = ModifiedResNet(config, SIZES)
    out = tower(Pixels(torch.randn(2, 3, 32, 32)))
    width = 12 if pool == "attention" else 16 * (4 if block == "bottleneck" else 1)
    assert tower.width == width and out.pooled.shape == (2, width)
    side = 32 // stem_stride // 2
    if pool == "mean":
        assert out.tokens is not None and out.tokens.shape == (2, side**2, width)
        torch.testing.assert_close(out.tokens.mean(dim=1), out.pooled)
    out.pooled.square().sum().backward()
    unreached = [name for name, value in tower.named_parameters() if value.grad is None]
    assert unreached == []


def test_resnet_bodies_start_as_nothing() -> None:
    tower = ModifiedResNet(ModifiedResNetConfig(name="modified_resnet").tiny(), SIZES)
    gains = [block.body[-1].weight for block in tower.layers if isinstance(block, Residual)]
    assert len(gains) == 4
    assert not any(gain.any() for gain in gains if isinstance(gain, Tensor))


def test_resnet_refuses_an_image_that_its_strides_do_not_divide() -> None:
    with pytest.raises(RecipeError, match="strides multiply to 32, which does not divide the image size 48"):
        ModifiedResNet(ModifiedResNetConfig(name="modified_resnet"), Sizes(48, 64, 8, 0, 62, 63))

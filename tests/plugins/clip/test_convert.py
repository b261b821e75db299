"""Names and layouts of other projects' weights; that they give the same model is in test_golden.py."""

from typing import Any

import pytest
import torch
from torch import Tensor

from mmx.errors import CheckpointError
from mmx_clip.convert import from_open_clip, from_transformers

State = dict[str, Tensor]


def state(golden: dict[str, Any], name: str) -> State:
    torch.manual_seed(0)
    return {key: torch.randn(shape) for key, shape in golden["models"][name]["shapes"].items()}


@pytest.fixture
def vit(golden: dict[str, Any]) -> State:
    return state(golden, "open_clip quick_gelu")


@pytest.fixture
def resnet(golden: dict[str, Any]) -> State:
    return state(golden, "open_clip modified_resnet")


@pytest.fixture
def transformers(golden: dict[str, Any]) -> State:
    return state(golden, "transformers gelu")


def test_patches_are_flattened_and_projections_transposed(vit: State) -> None:
    found = from_open_clip(vit)
    assert torch.equal(found["image_encoder.patches.linear.weight"], vit["visual.conv1.weight"].flatten(1))
    assert torch.equal(found["fusion.image.weight"], vit["visual.proj"].T)
    assert torch.equal(found["fusion.text.weight"], vit["text_projection"].T)
    assert all(value.is_contiguous() for value in found.values())


def test_queries_keys_and_values_are_joined_in_this_order(transformers: State) -> None:
    found = from_transformers(transformers)["text_encoder.layers.1.attention.qkv.weight"]
    prefix = "text_model.encoder.layers.1.self_attn"
    for index, part in enumerate("qkv"):
        assert torch.equal(found.chunk(3)[index], transformers[f"{prefix}.{part}_proj.weight"])


def test_stages_of_a_resnet_become_one_list_with_pools_in_between(resnet: State) -> None:
    found = from_open_clip(resnet)
    for theirs, ours in {
        "conv2": "stem.3",
        "layer1.0.conv3": "layers.0.body.6",
        "layer2.0.conv3": "layers.1.body.7",
        "layer2.0.downsample.0": "layers.1.side.1",
        "layer2.1.conv3": "layers.2.body.6",
        "layer4.0.bn3": "layers.4.body.8",
        "attnpool.c_proj": "pool.out",
    }.items():
        assert torch.equal(found[f"image_encoder.{ours}.weight"], resnet[f"visual.{theirs}.weight"])


def test_the_number_of_blocks_is_read_from_the_names(vit: State, resnet: State) -> None:
    fewer = {name: value for name, value in vit.items() if "visual.transformer.resblocks.1." not in name}
    assert not any("image_encoder.layers.1." in name for name in from_open_clip(fewer))
    block = {name.replace("layer2.1", "layer2.2"): value for name, value in resnet.items() if "layer2.1" in name}
    found = from_open_clip(resnet | block)
    assert torch.equal(found["image_encoder.layers.3.body.0.weight"], resnet["visual.layer2.1.conv1.weight"])
    assert torch.equal(found["image_encoder.layers.5.body.0.weight"], resnet["visual.layer4.0.conv1.weight"])


@pytest.mark.parametrize("name", ["visual.ln_post.bias", "transformer.resblocks.0.attn.in_proj_bias", "logit_scale"])
def test_a_missing_name_is_named(name: str, vit: State) -> None:
    del vit[name]
    with pytest.raises(CheckpointError, match=rf"not those of open_clip's CLIP .*: missing: {name};"):
        from_open_clip(vit)


def test_a_block_missing_between_others_is_named(transformers: State) -> None:
    some = {name: value for name, value in transformers.items() if "vision_model.encoder.layers.0." not in name}
    with pytest.raises(CheckpointError, match=r"missing: vision_model\.encoder\.layers\.0\..* and 8 more"):
        from_transformers(some)


def test_an_unknown_name_is_named_with_what_is_missing(resnet: State) -> None:
    resnet["visual.layer3.0.conv9.weight"] = resnet.pop("visual.layer3.0.conv1.weight")
    expected = r"missing: visual\.layer3\.0\.conv1\.weight; unknown: visual\.layer3\.0\.conv9\.weight; give the state"
    with pytest.raises(CheckpointError, match=expected):
        from_open_clip(resnet)


def test_one_projects_weights_are_not_the_others(vit: State, transformers: State) -> None:
    with pytest.raises(CheckpointError, match="transformers' CLIPModel"):
        from_transformers(vit)
    with pytest.raises(CheckpointError, match="open_clip's CLIP"):
        from_open_clip(transformers)


def test_what_is_no_weight_is_left_out(vit: State, transformers: State) -> None:
    extra = {"input_resolution": torch.tensor(224), "context_length": torch.tensor(77), "vocab_size": torch.tensor(9)}
    assert set(from_open_clip(vit | extra)) == set(from_open_clip(vit))
    positions = {f"{tower}_model.embeddings.position_ids": torch.arange(5) for tower in ("text", "vision")}
    assert set(from_transformers(transformers | positions)) == set(from_transformers(transformers))

"""Parameter groups on a model whose names and blocks are known."""

import pytest
import torch
from torch import nn
from typing_extensions import override

from mmx.config import GroupTable, OptimizerConfig
from mmx.errors import RecipeError
from mmx.learn.groups import parameter_groups


class Tower(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(2, 3)
        self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in range(3)])

    def blocks(self) -> list[nn.Module]:
        return [self.stem, *self.layers]


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.image_encoder, self.text_encoder = Tower(), Tower()
        self.fusion = nn.Module()
        self.fusion.scale = nn.Parameter(torch.zeros(()))


class GlobalBatch(nn.Module):
    """Named as an objective is."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.losses = nn.ModuleDict({"main": nn.Linear(2, 2)})

    @override
    def forward(self) -> None: ...


Settings = dict[str, tuple[float, float]]


def settings(groups: dict[str, GroupTable], module: nn.Module | None = None) -> Settings:
    """Return rate and weight decay by name, for lr = 0.5 and weight decay 0.1."""
    module = module or GlobalBatch()
    found = parameter_groups(module, OptimizerConfig(name="x", lr=0.5, weight_decay=0.1, groups=groups))
    by = {parameter: (group["lr"], group["weight_decay"]) for group in found for parameter in group["params"]}
    assert sum(len(group["params"]) for group in found) == len(by)
    assert all(group["lr"] == pytest.approx(0.5 * group["scale"]) and group["rate"] == 0.5 for group in found)
    return {name: by[parameter] for name, parameter in module.named_parameters() if parameter in by}


def test_gains_and_biases_do_not_decay_and_frozen_parameters_are_left_out() -> None:
    module = GlobalBatch()
    module.model.text_encoder.requires_grad_(False)
    found = settings({}, module)
    assert found["model.image_encoder.stem.weight"] == found["losses.main.weight"] == (0.5, 0.1)
    assert found["model.image_encoder.stem.bias"] == found["model.fusion.scale"] == (0.5, 0.0)
    assert not any("text_encoder" in name for name in found)
    decayed, plain = parameter_groups(module, OptimizerConfig(name="x", weight_decay=0.1))
    assert all(p.ndim == 2 for p in decayed["params"]) and all(p.ndim < 2 for p in plain["params"])


def test_a_group_has_a_rate_and_a_decay_of_its_own() -> None:
    found = settings({"image": GroupTable(match="image_encoder.*", lr=0.05, weight_decay=0.7)})
    assert found["model.image_encoder.stem.weight"] == pytest.approx((0.05, 0.7))
    assert found["model.image_encoder.stem.bias"] == pytest.approx((0.05, 0.0))
    assert found["model.text_encoder.stem.weight"] == (0.5, 0.1)


def test_the_last_group_that_matches_has_a_parameter() -> None:
    one, other = GroupTable(match="*.stem.*", lr=0.1), GroupTable(match="image_encoder.*", lr=0.2)
    assert settings({"a": one, "b": other})["model.image_encoder.stem.weight"][0] == pytest.approx(0.2)
    assert settings({"b": other, "a": one})["model.image_encoder.stem.weight"][0] == pytest.approx(0.1)


def test_rates_fall_by_layer_from_the_last_block_to_the_first() -> None:
    found = settings({"text": GroupTable(match="text_encoder.*", lr=0.25, layer_decay=0.5)})
    layers = [found[f"model.text_encoder.layers.{index}.weight"] for index in range(3)]
    assert layers == [pytest.approx((0.25 * 0.5 ** (2 - index), 0.1)) for index in range(3)]
    assert found["model.text_encoder.stem.bias"] == pytest.approx((0.25 * 0.5**3, 0.0))
    assert found["model.image_encoder.stem.weight"] == (0.5, 0.1)


def test_tied_weights_are_matched_by_each_of_their_names() -> None:
    module = GlobalBatch()
    module.losses["main"].weight = module.model.text_encoder.stem.weight
    found = settings({"a": GroupTable(match="losses.*", lr=0.1)}, module)
    assert found["model.text_encoder.stem.weight"][0] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        (
            {"a": GroupTable(match="image_encodr.*")},
            "a.match = 'image_encodr.*': no parameter .* nearest: 'image_encoder.*'",
        ),
        ({"a": GroupTable(match="fusion.scal")}, "no parameter has such a name; the nearest: 'fusion.scale'"),
        ({"a": GroupTable(match="*bias"), "b": GroupTable(match="*")}, r"groups.a.match .* written after it \(b\)"),
        ({"a": GroupTable(match="fusion.*", layer_decay=0.9)}, "a.layer_decay: fusion.scale is in no block of a tower"),
    ],
)
def test_what_matches_nothing_is_refused(groups: dict[str, GroupTable], expected: str) -> None:
    with pytest.raises(RecipeError, match=expected):
        settings(groups)


def test_what_matches_only_frozen_parameters_is_refused() -> None:
    module = GlobalBatch()
    module.model.image_encoder.requires_grad_(False)
    with pytest.raises(RecipeError, match=r"what it matches is not trained, such as image_encoder\.stem\.weight"):
        settings({"a": GroupTable(match="image_encoder.*")}, module)

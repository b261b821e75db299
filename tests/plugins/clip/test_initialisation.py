"""Fresh parameters are spread as open_clip's, and the same ones decay."""

import json
import math
from pathlib import Path
from typing import Any, Final

import pytest
import torch
from torch import Tensor

from mmx.config import OptimizerConfig
from mmx.learn.groups import parameter_groups
from mmx.learn.model import Model
from mmx.parts.sizes import Sizes
from mmx.parts.transform import Preprocess
from mmx_clip.configs import ModifiedResNetConfig, ProjectionConfig, TextTransformerConfig, VitConfig
from mmx_clip.projection import Projection
from mmx_clip.resnet import ModifiedResNet
from mmx_clip.text import TextTransformer
from mmx_clip.vit import Vit

Golden = dict[str, dict[str, tuple[float, float, float, bool]]]
"""By tower and parameter: mean, standard deviation, kurtosis, and whether open_clip decays it."""

SIZES: Final = Sizes(image=64, vocabulary=1000, context=77, pad=0, start=998, end=999)
TOWERS: Final = ("vit", "modified_resnet")


@pytest.fixture(scope="module")
def start() -> Golden:
    return json.loads((Path(__file__).parent / "golden_start.json").read_text())


def fresh(tower: str) -> Model:
    torch.manual_seed(1)
    texts = TextTransformer(TextTransformerConfig(name="transformer", width=128, heads=2, layers=3), SIZES)
    if tower == "vit":
        images = Vit(VitConfig(name="vit", patch=8, width=192, heads=3, layers=2), SIZES)
    else:
        options: dict[str, Any] = {"blocks": (1, 2, 1, 1), "width": 16, "heads": 8, "output": 96}
        images = ModifiedResNet(ModifiedResNetConfig(name="modified_resnet", **options), SIZES)
    widths = Sizes(64, 1000, 77, 0, 998, 999, image_width=images.width, text_width=128)
    fusion = Projection(ProjectionConfig(name="projection", width=96, project_image=tower == "vit"), widths)
    return Model(images, texts, fusion, Preprocess(64, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "squash"))


def kurtosis(value: Tensor) -> float:
    """Return 3 for a normal distribution, 1.8 for a uniform one."""
    centred = value - value.mean()
    return float((centred**4).mean() / centred.square().mean() ** 2)


@pytest.mark.parametrize("tower", TOWERS)
def test_parameters_start_as_those_of_open_clip(tower: str, start: Golden) -> None:
    found = {name: value.detach().double() for name, value in fresh(tower).named_parameters()}
    assert set(found) == set(start[tower])
    for name, value in found.items():
        mean, std, shape, _ = start[tower][name]
        if std == 0:
            assert value.eq(value.flatten()[0]).all() and value.mean().item() == pytest.approx(mean, rel=1e-6), name
            continue
        # Five standard errors of the difference of two estimates, for a normal distribution; a uniform one has less.
        error = 5 * value.numel() ** -0.5
        assert value.mean().item() == pytest.approx(mean, abs=error * math.sqrt(2) * std), name
        assert value.std(correction=0).item() == pytest.approx(std, rel=error), name
        if value.numel() >= 1000:
            assert kurtosis(value) == pytest.approx(shape, abs=0.6), name


@pytest.mark.parametrize("tower", TOWERS)
def test_the_same_parameters_decay_as_in_open_clip(tower: str, start: Golden) -> None:
    model = fresh(tower)
    names = {parameter: name for name, parameter in model.named_parameters()}
    decayed, plain = parameter_groups(model, OptimizerConfig(name="adamw", weight_decay=0.2))
    assert decayed["weight_decay"] == 0.2 and plain["weight_decay"] == 0
    assert {names[parameter] for parameter in decayed["params"]} == {
        name for name, row in start[tower].items() if row[3]
    }
    assert {names[parameter] for parameter in plain["params"]} == {
        name for name, row in start[tower].items() if not row[3]
    }

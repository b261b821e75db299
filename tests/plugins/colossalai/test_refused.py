"""Layouts that the parts do not allow, told from the parts; nothing is changed by asking."""

import copy
from typing import Any

import pytest
import torch
from spread import clip, merged
from torch import nn

from mmx.errors import RecipeError
from mmx.learn.objective import Objective
from mmx.parts.group import SoloGroup
from mmx.parts.loss import Loss
from mmx_colossalai.config import ColossalConfig
from toys.blip import CrossFusion
from toys.flava import GivenPairs
from toys.matching import MatchingOverAll
from toys.systems import SYSTEMS

RESNET = {"resnet": True}
REFUSED = [
    ({"tensor": 3}, {}, "does not divide heads = 2", "the nearest layout: parallel.tensor = 2"),
    ({"tensor": 4}, {}, "does not divide heads = 2", "parallel.tensor = 2"),
    (
        {"tensor": 2},
        RESNET,
        "image_encoder (ModifiedResNet) has no block that says how it is cut",
        "parallel.tensor = 1",
    ),
    ({"pipeline": 3}, {}, "more than the 2 blocks of the image_encoder", "parallel.pipeline = 2"),
    ({"pipeline": 2}, RESNET, "image_encoder (ModifiedResNet) does not say what comes before", "parallel.pipeline = 1"),
]


@pytest.mark.parametrize(("options", "tower", "why", "nearest"), REFUSED)
def test_the_reason_and_the_nearest_layout(
    options: dict[str, Any], tower: dict[str, Any], why: str, nearest: str
) -> None:
    objective = clip(SoloGroup(), **tower)
    with pytest.raises(RecipeError) as caught:
        ColossalConfig(name="colossalai", **options).refuse(objective)
    assert why in str(caught.value) and nearest in str(caught.value)


def test_a_teacher_that_a_loss_reads_cannot_be_a_pipeline() -> None:
    objective = clip(SoloGroup())
    objective.losses["c"].teachers = ("ema",)  # pyright: ignore
    with pytest.raises(RecipeError, match=r"losses\.c learns from a teacher"):
        ColossalConfig(name="colossalai", pipeline=2).refuse(objective)


@pytest.mark.parametrize("loss", [GivenPairs(), MatchingOverAll()], ids=["mean", "over all rows"])
def test_a_text_tower_that_is_read_again_cannot_be_a_stage(loss: Loss) -> None:
    objective = merged(SoloGroup())
    objective.losses["itm"] = loss
    engine = ColossalConfig(name="colossalai", pipeline=2)
    engine.refuse(objective)
    objective.model.fusion = CrossFusion()
    with pytest.raises(
        RecipeError, match=r"losses\.itm joins images and texts by the fusion CrossFusion.*or use a fusion with"
    ):
        engine.refuse(objective)


def test_blocks_of_a_fusion_are_divided_or_refused_as_those_of_towers() -> None:
    objective = clip(SoloGroup())
    objective.model.fusion.block = copy.deepcopy(objective.model.text_encoder.layers[0])  # pyright: ignore
    ColossalConfig(name="colossalai", tensor=2).refuse(objective)
    with pytest.raises(RecipeError, match=r'sequence = "split_gather": fusion\.block\.attention is cut'):
        ColossalConfig(name="colossalai", tensor=2, sequence="split_gather").refuse(objective)


def test_tokens_are_split_only_inside_of_a_stack() -> None:
    objective = clip(SoloGroup())
    tower: Any = objective.model.image_encoder
    tower.outside = nn.Sequential(tower.layers[0].mlp)
    tower.layers = nn.ModuleList(list(tower.layers))
    with pytest.raises(RecipeError, match=r'sequence = "split_gather": image_encoder\.layers\.0\.attention is cut'):
        ColossalConfig(name="colossalai", tensor=2, sequence="split_gather").refuse(objective)


@pytest.mark.parametrize("system", SYSTEMS)
def test_towers_of_others_are_data_parallel_only(system: str) -> None:
    objective: Objective = SYSTEMS[system](SoloGroup())
    ColossalConfig(name="colossalai", zero=1).refuse(objective)
    for options in ({"tensor": 2}, {"pipeline": 2}):
        with pytest.raises(RecipeError, match="data parallel only"):
            ColossalConfig(name="colossalai", **options).refuse(objective)  # pyright: ignore[reportArgumentType]


def test_shapes_alone_are_enough() -> None:
    with torch.device("meta"):
        objective = clip_on_meta()
    ColossalConfig(name="colossalai", tensor=2, pipeline=2, sequence="split_gather").refuse(objective)


def clip_on_meta() -> Objective:
    with torch.device("cpu"):
        return clip(SoloGroup()).to("meta")

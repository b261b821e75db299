"""What the parts compute, on cases that can be worked out by hand."""

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import Tensor

import mmx_geometry
from mmx.errors import DataError, RecipeError
from mmx.learn.global_batch import GlobalBatch
from mmx.learn.model import Model
from mmx.parts.evaluator import EvalModel, Number, Result
from mmx.parts.events import Run
from mmx.parts.group import SoloGroup
from mmx.parts.schedule import Span
from mmx.parts.sizes import Sizes
from mmx_geometry.centres import Median
from mmx_geometry.cli import geometry
from mmx_geometry.configs import MedianConfig, ModalityGapConfig, NormalisedConfig, StairsConfig, UniformConfig
from mmx_geometry.gap import ModalityGap
from mmx_geometry.loss import Uniform
from mmx_geometry.optimizers import Normalised
from mmx_geometry.schedules import Stairs

SIZES = Sizes(image=32, vocabulary=128, context=16, pad=0, start=126, end=127)
NO_MODEL = cast(Model, None)
CROSS = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])


def loss_of(images: Tensor, texts: Tensor, **options: Any) -> float:
    loss = Uniform(UniformConfig(name="uniform", **options), SIZES)
    features = {loss.image: images, loss.text: texts}
    return float(loss(GlobalBatch(features, SoloGroup(), 0), NO_MODEL))


def test_alignment_is_the_mean_squared_distance_of_pairs() -> None:
    assert loss_of(CROSS, CROSS, uniformity=0.0) == pytest.approx(0.0)
    assert loss_of(CROSS, -CROSS, uniformity=0.0) == pytest.approx(4.0)


def test_uniformity_of_four_corners() -> None:
    # Of the 12 ordered pairs, 8 are at a squared distance of 2 and 4 of 4.
    expected = math.log((8 * math.exp(-2 * 2.0) + 4 * math.exp(-2 * 4.0)) / 12)
    assert loss_of(CROSS, CROSS) == pytest.approx(expected)


def test_points_that_coincide_are_not_spread() -> None:
    same = CROSS[:1].expand(4, 2)
    assert loss_of(same, same) == pytest.approx(0.0)


def test_one_row_is_refused() -> None:
    with pytest.raises(RecipeError, match="2 or more"):
        loss_of(CROSS[:1], CROSS[:1])


def test_the_gap_needs_a_dataset() -> None:
    with pytest.raises(RecipeError, match=r"evaluators\.NAME\.data"):
        ModalityGap(ModalityGapConfig(name="modality_gap"), None)


def test_the_gap_is_the_distance_of_the_centres(monkeypatch: pytest.MonkeyPatch) -> None:
    images, texts = torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    gap = ModalityGap(ModalityGapConfig(name="modality_gap"), cast(Any, ()))
    encoded = SimpleNamespace(images=images, texts=texts)
    monkeypatch.setattr("mmx_geometry.gap.encode", lambda *args, **options: encoded)
    result = gap.evaluate(cast(EvalModel, None))
    assert result.numbers["gap"].value == pytest.approx(math.sqrt(0.5))
    assert result.numbers[result.headline].value == pytest.approx(0.5)


def test_the_median_is_that_of_each_coordinate() -> None:
    points = torch.tensor([[0.0, 9.0], [1.0, 5.0], [8.0, 6.0]])
    assert Median(MedianConfig(name="median")).of(points).tolist() == [1.0, 6.0]


def test_the_command_shows_the_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "geometry.jsonl").write_text('{"step": 10, "gap": 0.25}\n{"step": 20, "gap": 0.125}\n')
    geometry(tmp_path)
    assert capsys.readouterr().out == "step 10: gap 0.2500\nstep 20: gap 0.1250\n"
    geometry(tmp_path, last=True, json=True)
    assert json.loads(capsys.readouterr().out) == {"evaluations": [{"step": 20, "gap": 0.125}]}
    with pytest.raises(DataError, match="is not there"):
        geometry(tmp_path / "none")


def test_each_evaluation_adds_a_line(tmp_path: Path) -> None:
    run = cast(Run, SimpleNamespace(folder=tmp_path))
    results = {"gap": Result("gap", {"gap": Number(0.25)}), "other": Result("top1", {"top1": Number(1.0)})}
    for step in (10, 20):
        mmx_geometry.mmx_evaluation_end(run, step, results)
    lines = (tmp_path / "geometry.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"step": 10, "gap": 0.25}, {"step": 20, "gap": 0.25}]


def test_a_step_is_as_long_as_the_rate() -> None:
    parameter = torch.nn.Parameter(torch.tensor([[3.0, 4.0]], dtype=torch.float64))
    groups = [{"params": [parameter], "lr": 0.5, "weight_decay": 0.0}]
    optimizer = Normalised(NormalisedConfig(name="normalised")).over(groups)
    parameter.grad = torch.tensor([[30.0, 40.0]], dtype=torch.float64)
    optimizer.step()
    assert parameter.tolist() == [[pytest.approx(2.7), pytest.approx(3.6)]]


def test_the_rate_of_each_stair() -> None:
    stairs = Stairs(StairsConfig(name="stairs", every=2, factor=0.5, warmup=1), Span(lr=8.0, steps=7, epoch_steps=7))
    assert [stairs.at(step) for step in range(7)] == [8.0, 8.0, 8.0, 4.0, 4.0, 2.0, 2.0]

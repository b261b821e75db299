"""What a checkpoint holds: all that the next step depends on."""

from pathlib import Path

import pytest
import torch
from torch import nn

from mmx.checkpoint.state import capture, load_weights, restore, restore_weights
from mmx.errors import CheckpointError
from mmx.parts.lazy import gathered
from mmx.train.session import Session
from mmx_toy.start import sit


@pytest.fixture
def trained(tmp_path: Path) -> Session:
    session, _ = sit(tmp_path, "train.steps=4")
    session.run(None)
    return session


def test_everything_is_there_by_name(trained: Session) -> None:
    found, values = capture(trained.experiment.engine)
    tensors = {group: gathered(named) for group, named in found.items()}
    assert set(tensors) == {"model", "objective", "optimizer", "rng"} and set(tensors["rng"]) == {"cpu"}
    assert {"image_encoder.first.linear.weight", "fusion.log_scale"} <= set(tensors["model"])
    assert "losses.match.queue" in tensors["objective"] and int(tensors["objective"]["teachers.ema.updates"]) == 4
    assert float(tensors["optimizer"]["model.fusion.log_scale/step"]) == 4
    assert tensors["objective"]["losses.match.queue"].abs().sum() > 0
    assert values["engine"]["optimizer"] == "AdamW"


def test_what_is_captured_is_put_back(trained: Session, tmp_path: Path) -> None:
    found, values = capture(trained.experiment.engine)
    tensors = {group: {k: v.clone() for k, v in gathered(named).items()} for group, named in found.items()}
    other, _ = sit(tmp_path / "other", "seed=5")
    torch.rand(9)
    plan = other.experiment
    restore_weights(plan.objective, tensors)
    plan.engine.prepare(plan.objective, plan.optimizer)
    restore(plan.engine, tensors, values)
    assert torch.equal(torch.get_rng_state(), tensors["rng"]["cpu"])
    again, _ = capture(plan.engine)
    for group, named in tensors.items():
        back = gathered(again[group])
        assert set(back) == set(named)
        assert all(torch.equal(back[name], value) for name, value in named.items())


def test_weights_that_do_not_fit_are_named_and_nothing_is_loaded() -> None:
    module = nn.Linear(2, 3)
    before = module.weight.detach().clone()
    weights = {"weight": torch.zeros(3, 4), "gain": torch.zeros(3)}
    with pytest.raises(CheckpointError) as caught:
        load_weights(module, weights)
    assert str(caught.value) == (
        "the weights do not fit the recipe's model: missing: bias; not used: gain; "
        "of another shape: weight is [3, 4] there and [3, 2] here"
    )
    assert torch.equal(module.weight, before)
    with pytest.raises(CheckpointError, match="and 5 more"):
        load_weights(nn.Identity(), {str(number): before for number in range(10)})

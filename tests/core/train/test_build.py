"""From a recipe to parts: which parameters are trained, and what does not fit together."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from mmx.errors import CheckpointError, MmxError, PluginError, RecipeError
from mmx.models.build import parameters_of
from mmx.train.session import Session
from mmx_toy.start import sit, start

NORM = "image_encoder.middle.norm"


def weights(session: Session) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in session.experiment.objective.model.state_dict().items()}


def moved(tmp_path: Path, *overrides: str) -> tuple[set[str], set[str]]:
    """Return the names of weights and statistics that training moves, and of those it leaves."""
    session, _ = sit(tmp_path, *overrides, "image_encoder.batch_norm=true", "train.steps=4", "optim.weight_decay=0.5")
    before = weights(session)
    session.run(None)
    after = weights(session)
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    return changed, set(before) - changed


def under(names: set[str], *prefixes: str) -> set[str]:
    return {name for name in names if name.startswith(prefixes)}


def test_full_towers_move_altogether(tmp_path: Path) -> None:
    changed, left = moved(tmp_path)
    assert left == set() and f"{NORM}.running_mean" in changed


def test_a_frozen_tower_stays_and_so_do_its_statistics(tmp_path: Path) -> None:
    changed, left = moved(tmp_path, "image_encoder.train='frozen'")
    assert left == under(changed | left, "image_encoder.") and f"{NORM}.running_mean" in left
    assert under(changed, "text_encoder.", "fusion.") == changed


@pytest.mark.parametrize(
    ("last", "frozen"),
    [(1, ("image_encoder.first.", "image_encoder.middle.")), (2, ("image_encoder.first.",)), (3, ())],
)
def test_the_last_blocks_move_and_the_others_stay(last: int, frozen: tuple[str, ...], tmp_path: Path) -> None:
    changed, left = moved(tmp_path, f"image_encoder.train='last:{last}'")
    assert left == (under(changed | left, *frozen) if frozen else set())
    assert (f"{NORM}.running_mean" in changed) == (last >= 2)


def test_both_towers_may_be_frozen(tmp_path: Path) -> None:
    changed, _ = moved(tmp_path, "image_encoder.train='frozen'", "text_encoder.train='frozen'")
    assert changed == under(changed, "fusion.") and "fusion.log_scale" in changed


def test_frozen_parameters_cost_the_optimizer_nothing(tmp_path: Path) -> None:
    session, _ = sit(tmp_path, "image_encoder.train='frozen'", "train.steps=3")
    session.run(None)
    tensors, _ = session.experiment.engine.state()
    assert not any("image_encoder" in name for name in tensors)
    total, trained = parameters_of(session.experiment.objective.model)
    assert trained == total - parameters_of(session.experiment.objective.model.image_encoder)[0]


def test_going_on_with_other_frozen_blocks_is_refused(tmp_path: Path) -> None:
    start(tmp_path, "train.steps=4")
    with pytest.raises(CheckpointError, match=r"optimizer state of parameters that are not trained now"):
        start(tmp_path, "image_encoder.train='frozen'", "train.steps=6", recipe=None, resume=str(tmp_path / "run"))


@pytest.mark.parametrize(
    ("overrides", "kind", "found"),
    [
        (["image_encoder.train='last:4'"], RecipeError, 'last:4", but the tower has 3 blocks; use "full"'),
        (["fusion.expects=9"], RecipeError, "fusion 'toy': it wants images of width 9, and gets 8"),
        (["losses.match.image='x'"], RecipeError, "reads the view 'x'"),
        (["data.images.clean.of='y'", "data.images.y.name='toy'", "data.images.y.of='clean'"], RecipeError, "itself"),
        (["image_encoder.batch_norm=true", "train.micro_batches=2"], RecipeError, "is a BatchNorm"),
        (["image_encoder.width=-1"], PluginError, r"image_encoder 'toy' of toy cannot be built: RuntimeError"),
        (["parallel.device='cuda'"], RecipeError, "torch finds no GPU"),
    ],
)
def test_what_does_not_fit_stops_before_a_folder_is_made(
    overrides: list[str], kind: type[MmxError], found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(kind, match=found):
        start(tmp_path, *overrides)
    assert list(tmp_path.iterdir()) == []


def test_weights_come_from_the_seed_alone(tmp_path: Path) -> None:
    torch.manual_seed(8)
    one = weights(sit(tmp_path / "a")[0])
    torch.manual_seed(9)
    two, three = weights(sit(tmp_path / "b")[0]), weights(sit(tmp_path / "c", "seed=1")[0])
    assert all(torch.equal(value, two[name]) for name, value in one.items())
    assert not torch.equal(one["fusion.image.weight"], three["fusion.image.weight"])


def test_a_warm_up_longer_than_the_epochs_make_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"^--set: optim.schedule.warmup: should be at most the run's \d+ steps"):
        start(tmp_path, "train.epochs=1", "optim.schedule.warmup=5000", unset=["train.steps"])
    assert not (tmp_path / "run").exists()


def test_what_building_refuses_is_said_with_the_line_of_its_key(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"^--set: train.micro_batches = 2: .*BatchNorm"):
        start(tmp_path, "train.micro_batches=2", "image_encoder.batch_norm=true")

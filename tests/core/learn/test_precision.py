"""What stays in fp32 where an engine computes, or casts everything, in half precision."""

from typing import cast, final

import numpy as np
import pytest
import torch
from torch import Tensor

from mmx.learn.accumulate import accumulate
from mmx.learn.global_batch import Feature, GlobalBatch
from mmx.learn.model import Model
from mmx.learn.objective import Features, MicroBatchTerm, Objective
from mmx.learn.outputs import Outputs
from mmx.learn.teacher import Teacher
from mmx.parts.batch import Batch
from mmx.parts.group import SoloGroup
from mmx.parts.loss import BatchLoss, ItemLoss
from mmx_kit.layouts import Alone, gradients
from toys.declip import NearestNeighbour, SimSiam
from toys.layouts import start
from toys.systems import Build, batch_for, blip, declip, make_model

IMAGE = Feature("image.embed", "clean")


@final
class ComparingProbe(BatchLoss):
    """Notes the precision it is given, and that of a product it takes."""

    image_views = ("clean",)

    def __init__(self) -> None:
        super().__init__()
        self.saw: list[torch.dtype] = []

    def features(self) -> tuple[Feature, ...]:
        return (IMAGE,)

    def forward(self, whole: GlobalBatch, model: Model) -> Tensor:
        product = whole[IMAGE] @ whole.all(IMAGE).mT
        self.saw += [whole[IMAGE].dtype, product.dtype]
        return product.square().mean()


@final
class MeanProbe(ItemLoss):
    """Notes the precision of the same product under autocast."""

    image_views = ("clean",)

    def __init__(self) -> None:
        super().__init__()
        self.saw: list[torch.dtype] = []

    def forward(self, outputs: Outputs) -> Tensor:
        embed = outputs.image_embed("clean")
        self.saw += [(embed @ embed.mT).dtype]
        return embed.sum(-1)

    def count(self, batch: Batch) -> Tensor:
        return torch.tensor(len(batch.images["clean"]))


@pytest.mark.parametrize("micro_batches", [1, 4])
def test_compare_losses_run_in_fp32_under_autocast(micro_batches: int) -> None:
    comparing, mean = ComparingProbe(), MeanProbe()
    losses = {"comparing": comparing, "mean": mean}
    objective = Objective(make_model(), losses, {"comparing": 1.0, "mean": 1.0}, {}, SoloGroup())
    with torch.autocast("cpu", torch.bfloat16):
        accumulate(Alone(objective), objective, batch_for(objective), micro_batches)
    assert set(comparing.saw) == {torch.float32}
    assert set(mean.saw) == {torch.bfloat16}
    assert objective.parts["comparing"].dtype == torch.float32


@pytest.mark.parametrize("build", [declip, blip], ids=["declip", "blip"])
def test_four_micro_batches_equal_one_under_autocast_to_the_rounding_of_bf16(build: Build) -> None:
    def found(micro_batches: int) -> np.ndarray:
        objective = start(build, SoloGroup()).float()
        with torch.autocast("cpu", torch.bfloat16):
            accumulate(Alone(objective), objective, batch_for(objective), micro_batches)
        return np.concatenate([gradient.ravel() for gradient in gradients(objective).values()])

    one, four = found(1), found(4)
    assert np.linalg.norm(four - one) < 0.02 * np.linalg.norm(one)


def test_gradients_of_features_do_not_underflow_in_fp16() -> None:
    comparing = ComparingProbe()
    objective = Objective(make_model(), {"comparing": comparing}, {"comparing": 1e-6}, {}, SoloGroup())
    with torch.no_grad():
        exact = {IMAGE: torch.nn.functional.normalize(torch.randn(32, 6), dim=-1).half()}
    by_feature, _ = objective.compare(exact, batch_for(objective))
    assert by_feature[IMAGE].dtype == torch.float32
    assert by_feature[IMAGE].abs().max() > 0
    assert (by_feature[IMAGE].half() == 0).any()  # what the scaler, which comes later, could not bring back


def test_teachers_queues_heads_and_temperatures_stay_in_fp32_where_the_rest_is_cast() -> None:
    objective = start(declip, SoloGroup()).float()
    objective.teachers["slow"] = Teacher(objective.model, decay=0.995)
    objective.to(torch.bfloat16)
    dtypes = {name: value.dtype for name, value in objective.state_dict().items() if value.is_floating_point()}
    kept = ("teachers.", "losses.simsiam.", "losses.neighbour.", "model.fusion.project.log_scale")
    for name, dtype in dtypes.items():
        assert dtype == (torch.float32 if name.startswith(kept) else torch.bfloat16), name
    accumulate(Alone(objective), objective, batch_for(objective), 4)
    objective.after_step(batch_for(objective))
    assert all(part.isfinite() for part in objective.parts.values())
    assert cast(NearestNeighbour, objective.losses["neighbour"]).queue.dtype == torch.float32
    assert next(cast(SimSiam, objective.losses["simsiam"]).parameters()).grad is not None


def test_a_teacher_of_a_bf16_student_follows_where_a_bf16_average_would_stand_still() -> None:
    student = make_model().bfloat16()
    teacher = Teacher(student, decay=0.995)
    weight, slow = (model.get_parameter("image_encoder.mix.weight") for model in (student, teacher.model))
    assert slow.dtype == torch.float32
    with torch.no_grad():
        weight.fill_(1.0)
        slow.fill_(0.9)
        in_bf16 = slow.bfloat16()
        for _ in range(100):
            teacher.follow(student)
            in_bf16.lerp_(weight, 0.005)
    assert (in_bf16 == torch.tensor(0.9).bfloat16()).all()
    torch.testing.assert_close(slow.detach(), torch.full_like(slow, 1 - 0.1 * 0.995**100))


def test_double_precision_is_not_prevented() -> None:
    objective = start(declip, SoloGroup())
    assert {p.dtype for p in objective.parameters()} == {torch.float64}


def test_parts_are_the_losses_and_the_scalar_is_not() -> None:
    objective = start(blip, SoloGroup())
    batch = batch_for(objective)
    scalar = 0.0

    class Adding:
        def features(self, batch: Batch) -> Features:
            return objective(batch, None)

        def differentiate(self, batch: Batch, share: MicroBatchTerm, last: bool) -> None:
            nonlocal scalar
            scalar += objective(batch, share).item()

    accumulate(Alone(objective), objective, batch, 1)
    whole = {name: part.item() for name, part in objective.parts.items()}
    accumulate(Adding(), objective, batch, 4)
    assert {name: part.item() for name, part in objective.parts.items()} == pytest.approx(whole, rel=1e-12)
    loss = sum(objective.weights[name] * part for name, part in whole.items())
    assert abs(scalar - loss) > 0.1

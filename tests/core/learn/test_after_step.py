"""Clamp, teachers and queues move once an optimizer step, and not at all in a step that was skipped."""

import math
from typing import cast

import pytest
import torch
from torch import Tensor

from mmx.learn.accumulate import accumulate
from mmx.learn.objective import Objective
from mmx.learn.teacher import Teacher
from mmx.parts.batch import Batch
from mmx.parts.group import SoloGroup
from mmx_kit.layouts import Alone, freeze_unreached
from toys.blip import SLOW_TEXT, CrossFusion
from toys.declip import NearestNeighbour
from toys.layouts import start
from toys.systems import batch_for, blip, declip


def copied(objective: Objective) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in objective.state_dict().items()}


def changed(objective: Objective, before: dict[str, Tensor]) -> set[str]:
    return {name for name, value in objective.state_dict().items() if not torch.equal(value, before[name])}


def steps(objective: Objective, batches: list[Batch], skipped: frozenset[int] = frozenset()) -> dict[str, Tensor]:
    """Train as the loop does: where the engine says that a step was skipped, ``after_step`` is too."""
    freeze_unreached(objective, batches[0])
    optimizer = torch.optim.SGD((p for p in objective.parameters() if p.requires_grad), lr=0.1)
    for batch in batches:
        accumulate(Alone(objective), objective, batch, 4)
        if batch.step not in skipped:
            optimizer.step()
            objective.after_step(batch)
        optimizer.zero_grad()
    return copied(objective)


def momentum(objective: Objective) -> Teacher:
    return cast(Teacher, objective.teachers["momentum"])


def test_forward_and_backward_move_nothing_that_after_step_moves() -> None:
    objective = start(blip, SoloGroup())
    before = copied(objective)
    accumulate(Alone(objective), objective, batch_for(objective), 4)
    assert changed(objective, before) == set()


def test_teachers_and_queues_move_once_a_step_of_four_micro_batches() -> None:
    objective = start(blip, SoloGroup())
    before = copied(objective)
    batch = batch_for(objective)
    with torch.no_grad():
        texts = objective._outputs(batch, grad=False).pull(SLOW_TEXT)  # before the teacher follows
    after = steps(objective, [batch])
    assert momentum(objective).updates == 1
    for name, value in momentum(objective).model.named_parameters():
        expected = 0.9 * before[f"teachers.momentum.model.{name}"] + 0.1 * after[f"model.{name}"]
        torch.testing.assert_close(value.detach(), expected, rtol=1e-14, atol=1e-14)
    torch.testing.assert_close(after["losses.itc.texts"][:32], texts, rtol=1e-14, atol=1e-14)
    assert torch.equal(after["losses.itc.texts"][32:], before["losses.itc.texts"][:32])


def test_moving_them_in_every_micro_batch_is_another_result() -> None:
    objective, wrong = start(blip, SoloGroup()), start(blip, SoloGroup())
    batch = batch_for(objective)
    right = steps(objective, [batch])
    steps(wrong, [batch])
    for _ in range(3):
        wrong.after_step(batch)
    assert momentum(wrong).updates == 4
    assert not torch.equal(wrong.state_dict()["losses.itc.texts"], right["losses.itc.texts"])


def test_a_skipped_step_leaves_no_trace() -> None:
    def batches(objective: Objective) -> list[Batch]:
        return [batch_for(objective, step) for step in range(3)]

    objective, without = start(blip, SoloGroup()), start(blip, SoloGroup())
    skipped = steps(objective, batches(objective), skipped=frozenset({1}))
    never = steps(without, [batch for batch in batches(without) if batch.step != 1])
    assert all(torch.equal(skipped[name], value) for name, value in never.items())
    assert momentum(objective).updates == 2


def test_after_a_skipped_step_after_step_would_leave_one() -> None:
    objective = start(blip, SoloGroup())
    before = copied(objective)
    accumulate(Alone(objective), objective, batch_for(objective), 1)
    objective.after_step(batch_for(objective))
    assert {"losses.itc.images", "losses.itc.texts", "teachers.momentum.updates"} <= changed(objective, before)


def test_the_temperature_is_clamped_before_teachers_follow() -> None:
    objective = start(blip, SoloGroup())
    accumulate(Alone(objective), objective, batch_for(objective), 1)
    fusion = cast(CrossFusion, objective.model.fusion)
    with torch.no_grad():
        fusion.project.log_scale.fill_(math.log(1000))
    objective.after_step(batch_for(objective))
    assert fusion.scale().item() == pytest.approx(100)
    slow = cast(CrossFusion, momentum(objective).model.fusion)
    assert slow.project.log_scale.item() == pytest.approx(0.9 * math.log(5) + 0.1 * math.log(100))


def test_queues_get_what_the_losses_of_this_step_saw() -> None:
    objective = start(declip, SoloGroup())
    steps(objective, [batch_for(objective)])
    batch = batch_for(objective, step=1)
    accumulate(Alone(objective), objective, batch, 4)
    with torch.no_grad():
        texts = objective._outputs(batch, grad=False).text_embed("clean")
        for parameter in objective.model.parameters():
            parameter.add_(1.0)  # a large step: the queue must not see it
    objective.after_step(batch)
    queue = cast(NearestNeighbour, objective.losses["neighbour"]).queue
    filled = queue.roll(-32, 0)[:32]  # 48 places: rows 32 to 47, then 0 to 15
    torch.testing.assert_close(filled, texts, rtol=1e-14, atol=1e-14)

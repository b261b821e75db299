from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mmx.errors import RecipeError
from mmx.learn.accumulate import accumulate
from mmx.learn.global_batch import Feature
from mmx.learn.objective import Objective
from mmx.learn.outputs import Outputs
from mmx.learn.teacher import Teacher
from mmx.parts.batch import Batch
from mmx.parts.group import SoloGroup
from mmx_kit.layouts import Alone, gradients
from toys.layouts import start
from toys.mistakes import matching_and_captions
from toys.systems import batch_for, blip, declip, flava


def passes_of(objective: Objective, batch: Batch, grad: bool = True) -> Outputs:
    teachers: dict[str, Any] = {name: teacher.model for name, teacher in objective.teachers.items()}
    return Outputs(objective.model, batch, teachers, grad)


def counting(towers: Mapping[str, nn.Module]) -> Counter[str]:
    """Count the towers' forward passes from now on."""
    calls: Counter[str] = Counter()

    def hook(name: str) -> Callable[[nn.Module, object], None]:
        return lambda module, inputs: calls.update([name])

    for name, tower in towers.items():
        tower.register_forward_pre_hook(hook(name))
    return calls


def test_each_tower_runs_once_a_view() -> None:
    objective = start(declip, SoloGroup())
    calls = counting({"image": objective.model.image_encoder, "text": objective.model.text_encoder})
    accumulate(Alone(objective), objective, batch_for(objective), 1)
    assert calls == {"image": 2, "text": 2}  # five losses, two views a side


def test_accumulation_runs_the_student_twice_and_the_teacher_once() -> None:
    objective = start(blip, SoloGroup())
    slow = cast(Teacher, objective.teachers["momentum"]).model
    calls = counting({"student": objective.model.image_encoder, "teacher": slow.image_encoder})
    accumulate(Alone(objective), objective, batch_for(objective), 4)
    assert calls == {"student": 8, "teacher": 4}


def test_the_grad_mode_is_that_of_the_passes_and_not_of_who_asks_first() -> None:
    objective = start(blip, SoloGroup())
    batch = batch_for(objective)
    with_gradient, without = passes_of(objective, batch), passes_of(objective, batch, grad=False)
    with torch.no_grad():
        assert with_gradient.image_embed("clean").requires_grad
        assert with_gradient.joint("clean", "clean").pooled.requires_grad
        assert with_gradient.pairs("clean", "clean", torch.tensor([0]), torch.tensor([1])).pooled.requires_grad
    assert not without.text_embed("clean").requires_grad
    assert not without.pairs("clean", "clean", torch.tensor([0]), torch.tensor([1])).pooled.requires_grad


def test_a_memo_poisoned_under_no_grad_has_the_same_losses_and_other_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    def step() -> tuple[dict[str, Tensor], dict[str, np.ndarray]]:
        objective = start(matching_and_captions, SoloGroup())
        accumulate(Alone(objective), objective, batch_for(objective), 1)
        return objective.parts, gradients(objective)

    def forgetful(self: Outputs, key: tuple[str, ...], make: Callable[[], Any]) -> Any:
        return self._kept.setdefault(key, make()) if key not in self._kept else self._kept[key]

    parts, right = step()
    monkeypatch.setattr(Outputs, "_keep", forgetful)
    same_parts, wrong = step()
    assert same_parts == parts
    assert np.abs(right["model.image_encoder.embed.weight"]).max() > 1e-3
    assert "model.image_encoder.embed.weight" not in wrong


def test_pairs_join_the_chosen_rows() -> None:
    objective = start(blip, SoloGroup())
    outputs = passes_of(objective, batch_for(objective))
    rows = torch.arange(32)
    together = outputs.joint("clean", "clean")
    again = outputs.pairs("clean", "clean", rows, rows)
    torch.testing.assert_close(again.pooled, together.pooled)
    crossed = outputs.pairs("clean", "clean", torch.tensor([5, 3]), torch.tensor([2, 3]))
    torch.testing.assert_close(crossed.pooled[1], together.pooled[3])
    assert (crossed.pooled[0] - together.pooled[2]).abs().max() > 1e-3


def test_a_teacher_passes_the_same_rows_without_gradient_and_once() -> None:
    objective = start(blip, SoloGroup())
    outputs = passes_of(objective, batch_for(objective))
    slow = outputs.of("momentum")
    assert slow is outputs.of("momentum")
    assert not slow.image_embed("clean").requires_grad
    torch.testing.assert_close(slow.image_embed("clean"), outputs.image_embed("clean").detach())
    assert outputs.pull(Feature("image.embed", "clean", by="momentum")) is slow.image_embed("clean")


def test_every_kind_of_pull() -> None:
    objective = start(blip, SoloGroup())
    batch = batch_for(objective)
    outputs = passes_of(objective, batch)
    assert outputs.pull(Feature("image.embed", "clean")) is outputs.image_embed("clean")
    assert outputs.pull(Feature("text.embed", "clean")) is outputs.text_embed("clean")
    assert outputs.pull(Feature("image.pooled", "clean")) is outputs.image("clean").pooled
    assert outputs.pull(Feature("text.pooled", "clean")) is outputs.text("clean").pooled
    assert outputs.pull(Feature("fact", "group")) is batch.facts["group"]


def test_a_fact_that_the_data_lacks_is_named_with_those_it_has() -> None:
    model = declip(SoloGroup()).model
    batch = Batch(images={}, texts={}, facts={"label": torch.zeros(2)})
    with pytest.raises(RecipeError, match=r"fact 'group'.*the dataset gives: label"):
        Outputs(model, batch, {}, grad=False).pull(Feature("fact", "group"))


def test_a_fusion_that_fuses_takes_what_the_towers_made() -> None:
    objective = start(flava, SoloGroup())
    batch = batch_for(objective)
    outputs = passes_of(objective, batch)
    text = outputs.text("given")
    calls = counting({"text": objective.model.text_encoder})
    joint = outputs.joint("clean", "given")
    rows = torch.tensor([3, 1])
    crossed = outputs.pairs("clean", "given", rows, rows)
    assert not calls
    torch.testing.assert_close(crossed.pooled, joint.pooled[rows])
    fused = objective.model.fusion.fuse(outputs.image("clean"), text)
    assert torch.equal(fused.pooled, joint.pooled)

from typing import cast

import pytest
import torch
from torch import nn

from mmx.learn.model import Model
from mmx.learn.objective import Objective
from mmx.learn.teacher import Teacher
from mmx.parts.group import SoloGroup
from toys.systems import make_model


def weights(teacher: Teacher) -> torch.Tensor:
    return cast(nn.Linear, teacher.model.image_encoder.mix).weight


def test_it_is_the_average_of_the_student() -> None:
    student = make_model()
    teacher = Teacher(student, decay=0.75)
    torch.nn.init.zeros_(weights(teacher))
    torch.nn.init.ones_(cast(nn.Linear, student.image_encoder.mix).weight)
    teacher.follow(student)
    assert (weights(teacher) == 0.25).all()
    teacher.follow(student)
    assert (weights(teacher) == 0.4375).all()


def test_a_warm_teacher_averages_little_at_first() -> None:
    student = make_model()
    teacher = Teacher(student, decay=0.999, warm=True)
    torch.nn.init.zeros_(weights(teacher))
    torch.nn.init.ones_(cast(nn.Linear, student.image_encoder.mix).weight)
    teacher.follow(student)
    assert weights(teacher)[0, 0].item() == pytest.approx(1 - 2 / 11)
    teacher.updates.fill_(100_000)
    torch.nn.init.zeros_(weights(teacher))
    teacher.follow(student)
    assert weights(teacher)[0, 0].item() == pytest.approx(0.001)


def test_statistics_are_copied() -> None:
    student = make_model(batch_norm=True)
    teacher = Teacher(student, decay=0.9)
    cast(nn.BatchNorm1d, student.image_encoder.norm).running_mean = torch.full((4,), 3.0)
    teacher.follow(student)
    assert (cast(nn.BatchNorm1d, teacher.model.image_encoder.norm).running_mean == 3).all()


def test_it_stays_in_evaluation_mode_and_shares_nothing() -> None:
    student = make_model(dropout=0.5)
    teacher = Teacher(student, decay=0.9)
    nn.ModuleList([student, teacher]).train()
    assert student.training
    assert not any(module.training for module in teacher.modules())
    assert not any(p.requires_grad for p in teacher.parameters())
    places = {p.data_ptr() for p in student.parameters()}
    assert all(p.data_ptr() not in places for p in teacher.parameters())


def test_its_progress_is_saved() -> None:
    student = make_model()
    teacher, again = Teacher(student, decay=0.9), Teacher(make_model(), decay=0.9)
    teacher.follow(student)
    again.load_state_dict(teacher.state_dict())
    assert again.updates == 1
    assert torch.equal(weights(again), weights(teacher))


def half_frozen(decay: float = 0.75) -> tuple[Model, Teacher]:
    student = make_model()
    student.freeze([student.image_encoder])
    return student, Teacher(student, decay)


def shared(student: Model, teacher: Teacher) -> set[str]:
    theirs = {p.data_ptr() for p in student.parameters()}
    return {name for name, p in teacher.model.named_parameters() if p.data_ptr() in theirs}


def test_what_the_student_does_not_train_is_shared_and_not_among_the_teacher_s_weights() -> None:
    student, teacher = half_frozen()
    images = {f"image_encoder.{name}" for name, _ in student.image_encoder.named_parameters()}
    assert images and shared(student, teacher) == images == teacher.shared
    assert not any(name.startswith("model.image_encoder.") for name in teacher.state_dict())
    before = {name: p.detach().clone() for name, p in student.named_parameters()}
    with torch.no_grad():
        for p in student.text_encoder.parameters():
            p.add_(1)
    teacher.follow(student)
    for name, p in teacher.model.named_parameters():
        moved = 0.25 if name.startswith("text_encoder.") else 0.0
        assert torch.allclose(p, before[name] + moved, atol=1e-6), name


def test_its_weights_load_without_what_is_shared() -> None:
    (_, teacher), (other, again) = half_frozen(), half_frozen()
    again.load_state_dict(teacher.state_dict())
    assert shared(other, again) == again.shared
    found, expected = again.state_dict(), teacher.state_dict()
    assert found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in expected)


def test_it_parts_before_the_student_is_cast_and_shares_again_what_is_alike() -> None:
    student, teacher = half_frozen()
    whole = {name: p.detach().clone() for name, p in teacher.model.named_parameters()}
    objective = Objective(student, {}, {}, {"t": teacher}, SoloGroup()).to(torch.bfloat16)
    assert next(objective.model.image_encoder.parameters()).dtype is torch.bfloat16
    assert all(torch.equal(p, whole[name]) and p.dtype is torch.float32 for name, p in teacher.model.named_parameters())
    assert not shared(student, teacher)
    teacher.share(student)
    assert not shared(student, teacher), "of another precision"
    assert not any("t.model.image_encoder" in name for name in objective.state_dict())
    one, other = half_frozen()
    other.part()
    assert not shared(one, other)
    other.share(one)
    assert shared(one, other) == other.shared
